"""System call numbers and where their arguments are.

Numbers: arch/x86/entry/syscalls/syscall_64.tbl and syscall_32.tbl,
include/uapi/asm-generic/unistd.h (aarch64), arch/arm/tools/syscall.tbl.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Signature:
    """Argument positions: folder descriptor, path, flags, second descriptor and path, a link's
    text."""

    path: int
    base: int | None = None
    flags: int | None = None
    second: int | None = None
    second_base: int | None = None
    text: int | None = None


SIGNATURES: Mapping[str, Signature] = {
    "open": Signature(0, flags=1),
    "creat": Signature(0),
    "openat": Signature(1, base=0, flags=2),
    "openat2": Signature(1, base=0, flags=2),
    "execve": Signature(0),
    "execveat": Signature(1, base=0),
    "rename": Signature(0, second=1),
    "renameat": Signature(1, base=0, second=3, second_base=2),
    "renameat2": Signature(1, base=0, second=3, second_base=2),
    "link": Signature(0, second=1),
    "linkat": Signature(1, base=0, second=3, second_base=2),
    "symlink": Signature(1, text=0),
    "symlinkat": Signature(2, base=1, text=0),
    "unlink": Signature(0),
    "unlinkat": Signature(1, base=0),
    "rmdir": Signature(0),
    "mknod": Signature(0),
    "mknodat": Signature(1, base=0),
    "truncate": Signature(0),
    "connect": Signature(1),
}

X86_64: Mapping[str, int] = {
    "open": 2, "connect": 42, "execve": 59, "truncate": 76, "rename": 82, "rmdir": 84,
    "creat": 85, "link": 86, "unlink": 87, "symlink": 88, "mknod": 133, "openat": 257,
    "mknodat": 259, "unlinkat": 263, "renameat": 264, "linkat": 265, "symlinkat": 266,
    "renameat2": 316, "execveat": 322, "openat2": 437,
}  # fmt: skip
I386: Mapping[str, int] = {
    "open": 5, "creat": 8, "link": 9, "unlink": 10, "execve": 11, "mknod": 14, "rename": 38,
    "rmdir": 40, "symlink": 83, "truncate": 92, "openat": 295, "mknodat": 297, "unlinkat": 301,
    "renameat": 302, "linkat": 303, "symlinkat": 304, "renameat2": 353, "execveat": 358,
    "connect": 362, "openat2": 437,
}  # fmt: skip
AARCH64: Mapping[str, int] = {
    "mknodat": 33, "unlinkat": 35, "symlinkat": 36, "linkat": 37, "renameat": 38,
    "truncate": 45, "openat": 56, "connect": 203, "execve": 221, "renameat2": 276,
    "execveat": 281, "openat2": 437,
}  # fmt: skip
ARM: Mapping[str, int] = {
    "open": 5, "creat": 8, "link": 9, "unlink": 10, "execve": 11, "rename": 38, "rmdir": 40,
    "symlink": 83, "connect": 283, "openat": 322, "execveat": 387, "openat2": 437,
}  # fmt: skip

IO_URING_SETUP = 425
"""The same number everywhere; answered with ENOSYS, so that libraries use plain calls."""

ARCHITECTURES: Mapping[str, tuple[tuple[int, Mapping[str, int]], ...]] = {
    "x86_64": ((0xC000003E, X86_64), (0x40000003, I386)),
    "aarch64": ((0xC00000B7, AARCH64), (0x40000028, ARM)),
}
"""AUDIT_ARCH value and table of each kind of program a machine runs."""

SECCOMP_CALL = {"x86_64": 317, "aarch64": 277}
