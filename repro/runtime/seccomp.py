"""The deny list of system calls as classic BPF, made with struct.pack (seccomp(2)).

Default class allow: an honest analysis uses hundreds of calls. Denied are those that
change what the sandbox is, reach other processes or the keyring, or enlarge the kernel's
attack surface (the lists of Flatpak and of containers' default profiles). Arguments are
compared on their low 32 bits, as the kernel does (CVE-2019-10063).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from repro.errors import RuntimeUnavailable
from repro.primitives.frozen import frozen

_LD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_NR, _ARCH, _ARG0, _ARG1, _ARG2 = 0, 4, 16, 24, 32
_CLONE_NEWUSER = 0x10000000
_NAMESPACES = 0x7E020080  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET} and NEWTIME
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6
_NETLINK, _NETLINK_ROUTE = 16, 0  # the route family is what getaddrinfo and getifaddrs ask

AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""AUDIT_ARCH values of the architectures that the filter knows."""

_COMMON: Mapping[str, int] = {
    "pidfd_getfd": 438, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431,
    "fsmount": 432, "fspick": 433, "mount_setattr": 442, "open_tree_attr": 467,
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "clone3": 435,
}  # fmt: skip
_X86_64: Mapping[str, int] = {
    **_COMMON,
    "ioctl": 16, "socket": 41, "socketpair": 53, "clone": 56, "ptrace": 101, "personality": 135,
    "pivot_root": 155, "chroot": 161, "acct": 163, "mount": 165, "umount2": 166,
    "swapon": 167, "swapoff": 168, "reboot": 169, "iopl": 172, "ioperm": 173,
    "init_module": 175, "delete_module": 176, "quotactl": 179, "kexec_load": 246,
    "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272, "perf_event_open": 298,
    "name_to_handle_at": 303, "open_by_handle_at": 304, "setns": 308,
    "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313,
    "bpf": 321, "kexec_file_load": 320, "userfaultfd": 323, "syslog": 103,
}  # fmt: skip
_AARCH64: Mapping[str, int] = {
    **_COMMON,
    "ioctl": 29, "socket": 198, "socketpair": 199, "clone": 220, "ptrace": 117, "personality": 92,
    "pivot_root": 41, "chroot": 51, "acct": 89, "mount": 40, "umount2": 39,
    "swapon": 224, "swapoff": 225, "reboot": 142, "init_module": 105, "delete_module": 106,
    "quotactl": 60, "kexec_load": 104, "add_key": 217, "request_key": 218, "keyctl": 219,
    "unshare": 97, "perf_event_open": 241, "name_to_handle_at": 264, "open_by_handle_at": 265,
    "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272,
    "finit_module": 273, "bpf": 280, "kexec_file_load": 294, "userfaultfd": 282, "syslog": 116,
}  # fmt: skip
_TABLES = {"x86_64": _X86_64, "aarch64": _AARCH64}
_ABSENT = ("clone3", "io_uring_setup", "io_uring_enter", "io_uring_register", "open_tree",
           "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr",
           "open_tree_attr")  # fmt: skip
"""Answered with ENOSYS, so that libraries fall back to the older call."""

_BY_ARGUMENT = ("ioctl", "socket", "socketpair", "clone", "personality", "unshare")


_PERSONALITIES = (0xFFFFFFFF, 0, 0x0040000)


@frozen
class Rules:
    """The list as names and numbers, for who writes it in another form (``profile``).

    ``forbidden`` and ``absent`` are calls that fail with EPERM and ENOSYS whatever their
    arguments are; the other fields are arguments: ``namespaces`` and ``new_user`` bits
    refused to unshare and clone, ``ioctls`` refused, ``families`` allowed besides
    ``netlink`` with its protocol ``netlink_route``, ``personalities`` allowed.
    """

    forbidden: list[str]
    absent: list[str]
    ioctls: tuple[int, ...] = (_TIOCSTI, _TIOCLINUX)
    namespaces: int = _NAMESPACES
    new_user: int = _CLONE_NEWUSER
    families: tuple[int, ...] = _FAMILIES
    netlink: int = _NETLINK
    netlink_route: int = _NETLINK_ROUTE
    personalities: tuple[int, ...] = _PERSONALITIES


def rules(machine: str) -> Rules:
    """The rules for ``machine``, which must be one of AUDIT."""
    names = [name for name in _TABLES[machine] if name not in _BY_ARGUMENT]
    return Rules(
        forbidden=[name for name in names if name not in _ABSENT],
        absent=[name for name in names if name in _ABSENT],
    )


def filter_program(machine: str) -> bytes:
    """The filter for ``machine`` (as ``uname -m``): an array of struct sock_filter.

    Raises RuntimeUnavailable for an architecture without a table.
    """
    if machine not in _TABLES:
        raise RuntimeUnavailable(f"no system call filter for {machine}")
    table = _TABLES[machine]
    parts = [
        _op(_LD, _ARCH),
        # Another architecture's calls (i386 on x86-64) have other numbers: not filtered
        # here means not allowed here.
        _op(_JEQ, AUDIT[machine], 1, 0),
        _op(_RET, _ERRNO | _ENOSYS),
        _op(_LD, _NR),
    ]
    if machine == "x86_64":
        # x32 calls carry bit 30 and would slip past the numbers below.
        parts += [_op(_JGE, 0x40000000, 0, 1), _op(_RET, _ERRNO | _ENOSYS)]
    for name, number in table.items():
        if name not in _BY_ARGUMENT:
            error = _ENOSYS if name in _ABSENT else _EPERM
            parts += [_op(_JEQ, number, 0, 1), _op(_RET, _ERRNO | error)]
    parts += _ioctl(table["ioctl"])
    parts += _socket(table["socket"]) + _socket(table["socketpair"])
    parts += _clone(table["clone"], _CLONE_NEWUSER) + _clone(table["unshare"], _NAMESPACES)
    parts += _personality(table["personality"])
    parts.append(_op(_RET, _ALLOW))
    return b"".join(parts)


def _ioctl(number: int) -> list[bytes]:
    return [
        _op(_JEQ, number, 0, 5),
        _op(_LD, _ARG1),
        _op(_JEQ, _TIOCSTI, 1, 0),
        _op(_JEQ, _TIOCLINUX, 0, 1),
        _op(_RET, _ERRNO | _EPERM),
        _op(_RET, _ALLOW),
    ]


def _socket(number: int) -> list[bytes]:
    """Other families only load kernel modules that an analysis has no use for."""
    checks = [_op(_JEQ, family, len(_FAMILIES) - at + 3, 0) for at, family in enumerate(_FAMILIES)]
    body = [
        _op(_LD, _ARG0),
        *checks,
        _op(_JEQ, _NETLINK, 0, 2),
        _op(_LD, _ARG2),
        _op(_JEQ, _NETLINK_ROUTE, 1, 0),
        _op(_RET, _ERRNO | _EAFNOSUPPORT),
        _op(_RET, _ALLOW),
    ]
    return [_op(_JEQ, number, 0, len(body)), *body]


def _clone(number: int, flags: int) -> list[bytes]:
    return [
        _op(_JEQ, number, 0, 4),
        _op(_LD, _ARG0),
        _op(_JSET, flags, 0, 1),
        _op(_RET, _ERRNO | _EPERM),
        _op(_RET, _ALLOW),
    ]


def _personality(number: int) -> list[bytes]:
    """Allowed: asking (0xffffffff), 0, and ADDR_NO_RANDOMIZE."""
    allowed = _PERSONALITIES
    checks = [_op(_JEQ, value, len(allowed) - at, 0) for at, value in enumerate(allowed)]
    body = [_op(_LD, _ARG0), *checks, _op(_RET, _ERRNO | _EPERM), _op(_RET, _ALLOW)]
    return [_op(_JEQ, number, 0, len(body)), *body]


def _op(code: int, value: int, true: int = 0, false: int = 0) -> bytes:
    return struct.pack("HBBI", code, true, false, value & 0xFFFFFFFF)
