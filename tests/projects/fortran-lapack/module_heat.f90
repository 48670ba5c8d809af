module heat
  implicit none
  integer, parameter :: real64 = kind(1.0d0)
contains
  !> One implicit step of the heat equation on a rod, by LAPACK's tridiagonal solver.
  subroutine step(u, r)
    real(real64), intent(inout) :: u(:)
    real(real64), intent(in) :: r
    real(real64) :: low(size(u) - 1), mid(size(u)), high(size(u) - 1)
    integer :: info
    external :: dgtsv
    low = -r
    high = -r
    mid = 1 + 2 * r
    call dgtsv(size(u), 1, low, mid, high, u, size(u), info)
    if (info /= 0) error stop 'dgtsv failed'
  end subroutine step
end module heat
