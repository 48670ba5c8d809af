"""A process gives its own rights up: capabilities(7), prctl(2), seccomp(2).

For processes of ours that are made by fork(2) and run beside, or become, a sealed command.
Nothing is imported or read.
"""

from __future__ import annotations

import ctypes
import struct

PDEATHSIG, DUMPABLE = 1, 4
"""Options of prctl(2)."""
_SECCOMP, _CAPBSET_DROP, _NO_NEW_PRIVS, _AMBIENT = 22, 24, 38, 47
_SECCOMP_FILTER, _AMBIENT_CLEAR = 2, 4
_CAPABILITY_3 = 0x20080522
_MOST_CAPABILITIES = 64

_LIBC = ctypes.CDLL(None, use_errno=True)  # loaded before any fork


class Stage(Exception):
    """A step that failed: its name and errno, and ``line`` for a report."""

    def __init__(self, name: str, number: int) -> None:
        super().__init__(name)
        self.name, self.number = name, number
        self.line = f"{name} {number}\n".encode()


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def give_up_rights() -> None:
    """No capability in any set, and none to be had from a program. Raises Stage."""
    prctl("no_new_privs", _NO_NEW_PRIVS, 1)
    for capability in range(_MOST_CAPABILITIES):
        if _LIBC.prctl(_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) != 0:
            break  # the kernel knows no more of them
    prctl("ambient", _AMBIENT, _AMBIENT_CLEAR)
    header = _Header(_CAPABILITY_3, 0)
    if _LIBC.capset(ctypes.byref(header), (ctypes.c_uint32 * 6)()) != 0:
        raise Stage("capset", ctypes.get_errno())


def install(program: bytes) -> None:
    """Put ourselves under a system call filter (``seccomp.filter_program``). Raises Stage."""
    held = ctypes.create_string_buffer(program, len(program))
    described = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(held))
    )
    if _LIBC.prctl(_SECCOMP, ctypes.c_ulong(_SECCOMP_FILTER), described, 0, 0) != 0:
        raise Stage("seccomp", ctypes.get_errno())


def prctl(name: str, option: int, value: int) -> None:
    """One option of prctl(2). Raises Stage, named ``name``."""
    if _LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise Stage(name, ctypes.get_errno())
