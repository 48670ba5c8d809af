program rod
  use heat, only: step, real64
  use omp_lib, only: omp_get_max_threads
  implicit none
  real(real64) :: u(200), total
  integer :: i, unit, count
  namelist /setup/ count
  open (newunit=unit, file='data/setup.nml', status='old', action='read')
  read (unit, nml=setup)
  close (unit)
  u = 0
  u(80:120) = 1
  do i = 1, count
    call step(u, 0.4_real64)
  end do
  total = 0
  !$omp parallel do reduction(+:total) num_threads(1)
  do i = 1, size(u)
    total = total + u(i)
  end do
  open (newunit=unit, file='profile.txt', status='replace', action='write')
  write (unit, '(i4, f14.9)') (i, u(i), i = 1, size(u), 10)
  write (unit, '(a, f14.9)') 'sum', total
  close (unit)
  if (omp_get_max_threads() < 1) error stop
end program rod
