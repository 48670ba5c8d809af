"""A process gives up what it does not need: limits of resources, and all but a few system calls.

After ``lock`` the process can read and write the descriptors it holds and take memory; it can
open no file, make no socket, start or signal no process (seccomp(2), an allow-list).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import signal
import struct

MEMORY = 2 << 30
CPU_SECONDS = 60
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_FILTER = 2
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_CALLS = {
    "x86_64": (
        0xC000003E,
        {
            "read": 0, "write": 1, "close": 3, "fstat": 5, "lseek": 8, "mmap": 9, "mprotect": 10,
            "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15,
            "pread64": 17, "readv": 19, "writev": 20, "sched_yield": 24, "mremap": 25,
            "madvise": 28, "getpid": 39, "exit": 60, "fcntl": 72, "gettimeofday": 96,
            "getrusage": 98, "getuid": 102, "geteuid": 107, "sigaltstack": 131, "gettid": 186,
            "futex": 202, "sched_getaffinity": 204, "clock_gettime": 228, "exit_group": 231,
            "newfstatat": 262, "set_robust_list": 273, "getrandom": 318, "membarrier": 324,
            "rseq": 334,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "fcntl": 25, "close": 57, "lseek": 62, "read": 63, "write": 64, "readv": 65,
            "writev": 66, "pread64": 67, "newfstatat": 79, "fstat": 80, "exit": 93,
            "exit_group": 94, "futex": 98, "set_robust_list": 99, "clock_gettime": 113,
            "sched_getaffinity": 123, "sched_yield": 124, "sigaltstack": 132, "rt_sigaction": 134,
            "rt_sigprocmask": 135, "rt_sigreturn": 139, "getrusage": 165, "gettimeofday": 169,
            "getpid": 172, "getuid": 174, "geteuid": 175, "gettid": 178, "brk": 214,
            "munmap": 215, "mremap": 216, "mmap": 222, "mprotect": 226, "madvise": 233,
            "getrandom": 278, "membarrier": 283, "rseq": 293,
        },
    ),
}  # fmt: skip


def limit(seconds: int = CPU_SECONDS, mapped: int = 0) -> None:
    """Bound memory, processor time and files of this process; it ends with its parent.

    ``mapped`` are the bytes of a file that it may map beside its own memory.
    """
    for name, value, more in (
        (resource.RLIMIT_AS, MEMORY + mapped, 0), (resource.RLIMIT_DATA, MEMORY, 0), (resource.RLIMIT_CPU, seconds, 5),
        (resource.RLIMIT_FSIZE, 0, 0), (resource.RLIMIT_CORE, 0, 0),
    ):  # fmt: skip
        hard = resource.getrlimit(name)[1]
        hard = value + more if hard == resource.RLIM_INFINITY else min(value + more, hard)
        # The softer one of processor time ends with a signal that tells the reason.
        resource.setrlimit(name, (min(value, hard), hard))
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _prctl(_PR_SET_DUMPABLE, 0)


def lock() -> None:
    """Give up all system calls but the list's. Raises OSError where that is not possible."""
    if platform.machine() not in _CALLS:
        raise OSError(errno.ENOSYS, f"no list of system calls for {platform.machine()}")
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    arch, calls = _CALLS[platform.machine()]
    program = _program(arch, tuple(calls.values()))
    code = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    _prctl(_PR_SET_SECCOMP, _FILTER, ctypes.create_string_buffer(head, len(head)))


def _program(arch: int, calls: tuple[int, ...]) -> bytes:
    """The filter (struct sock_filter): another processor's call or one not listed gets EPERM."""
    refuse = _ERRNO | errno.EPERM
    count = len(calls)
    steps = [(_LOAD, 0, 0, 4), (_EQUAL, 0, count + 1, arch), (_LOAD, 0, 0, 0)]
    steps += [(_EQUAL, count - number, 0, call) for number, call in enumerate(calls)]
    steps += [(_RETURN, 0, 0, refuse), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def _prctl(option: int, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    values = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
    values += [ctypes.c_ulong(0)] * (4 - len(values))
    if libc.prctl(option, *values) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
