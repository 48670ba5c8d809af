"""The filter as the kernel would run it: a small classic BPF machine."""

from __future__ import annotations

import struct

import pytest

from repro.errors import RuntimeUnavailable
from repro.runtime.seccomp import AUDIT, filter_program

ALLOW, EPERM, ENOSYS, EAFNOSUPPORT = 0x7FFF0000, 0x50001, 0x50026, 0x50061
X86, ARM, I386 = AUDIT["x86_64"], AUDIT["aarch64"], 0x40000003


def verdict(machine: str, arch: int, number: int, *arguments: int) -> int:
    program = filter_program(machine)
    steps = [struct.unpack_from("HBBI", program, at) for at in range(0, len(program), 8)]
    data = struct.pack("<IIQ6Q", number, arch, 0, *(*arguments, *[0] * (6 - len(arguments))))
    accumulator = at = 0
    while True:
        code, true, false, value = steps[at]
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x15:
            at += true if accumulator == value else false
        elif code == 0x35:
            at += true if accumulator >= value else false
        elif code == 0x45:
            at += true if accumulator & value else false
        elif code == 0x06:
            return value
        else:
            raise AssertionError(f"unknown opcode {code:#x}")


@pytest.mark.parametrize(
    ("number", "arguments", "expected"),
    [
        (0, (), ALLOW),  # read
        (59, (), ALLOW),  # execve
        (165, (), EPERM),  # mount
        (101, (), EPERM),  # ptrace
        (250, (), EPERM),  # keyctl
        (321, (), EPERM),  # bpf
        (425, (), ENOSYS),  # io_uring_setup
        (435, (), ENOSYS),  # clone3
        (429, (), ENOSYS),  # move_mount
        (16, (0, 0x5412), EPERM),  # ioctl TIOCSTI
        (16, (0, 0x541C), EPERM),  # ioctl TIOCLINUX
        (16, (0, 0xFFFF_FFFF_0000_5412), EPERM),  # high bits do not hide it
        (16, (0, 0x5413), ALLOW),  # ioctl TIOCGWINSZ
        (41, (1,), ALLOW),  # AF_UNIX
        (41, (2,), ALLOW),
        (41, (10,), ALLOW),
        (41, (16, 3, 0), ALLOW),  # AF_NETLINK, NETLINK_ROUTE
        (41, (16, 3, 12), EAFNOSUPPORT),  # NETLINK_NETFILTER
        (41, (16, 3, 15), EAFNOSUPPORT),  # NETLINK_KOBJECT_UEVENT
        (41, (17, 3, 0), EAFNOSUPPORT),  # AF_PACKET
        (53, (1, 1, 0), ALLOW),  # socketpair AF_UNIX
        (53, (30, 1, 0), EAFNOSUPPORT),  # socketpair AF_TIPC
        (41, (38,), EAFNOSUPPORT),  # AF_ALG
        (41, (40,), EAFNOSUPPORT),  # AF_VSOCK
        (56, (0x00011200,), ALLOW),  # clone of a thread
        (56, (0x10000000,), EPERM),  # clone into a user namespace
        (272, (0x10000000,), EPERM),  # unshare user
        (272, (0x00020000,), EPERM),  # unshare mount
        (272, (0x00000400,), ALLOW),  # unshare files
        (135, (0xFFFFFFFF,), ALLOW),  # personality: ask
        (135, (0x0040000,), ALLOW),
        (135, (0x0400000,), EPERM),
        (0x40000000 | 165, (), ENOSYS),  # x32
    ],
)
def test_x86_64(number: int, arguments: tuple[int, ...], expected: int) -> None:
    assert verdict("x86_64", X86, number, *arguments) == expected


@pytest.mark.parametrize(
    ("number", "arguments", "expected"),
    [
        (63, (), ALLOW), (221, (), ALLOW), (40, (), EPERM), (117, (), EPERM), (219, (), EPERM),
        (425, (), ENOSYS), (29, (0, 0x5412), EPERM), (198, (1,), ALLOW),
        (198, (38,), EAFNOSUPPORT), (198, (16, 3, 0), ALLOW), (198, (16, 3, 12), EAFNOSUPPORT),
        (199, (1,), ALLOW), (199, (30,), EAFNOSUPPORT), (220, (0x10000000,), EPERM), (220, (0x11,), ALLOW),
    ],
)  # fmt: skip
def test_aarch64(number: int, arguments: tuple[int, ...], expected: int) -> None:
    assert verdict("aarch64", ARM, number, *arguments) == expected


def test_another_architecture_is_refused() -> None:
    assert verdict("x86_64", I386, 11) == ENOSYS
    assert verdict("aarch64", X86, 0) == ENOSYS


@pytest.mark.parametrize("machine", sorted(AUDIT))
def test_every_path_ends_in_an_answer(machine: str) -> None:
    """Any call number with any first argument: no jump leaves the program."""
    for number in range(600):
        for argument in (0, 1, 2, 10, 16, 17, 0x5412, 0x10000000, 0xFFFFFFFF):
            verdict(machine, AUDIT[machine], number, argument, argument, argument)


def test_unknown_machine() -> None:
    with pytest.raises(RuntimeUnavailable):
        filter_program("s390x")
