"""The kernel calls that Python's library lacks, by ctypes: seccomp, mount, unshare, memory."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import struct

from repro.observe.tables import ARCHITECTURES, IO_URING_SETUP, SECCOMP_CALL

_libc = ctypes.CDLL(None, use_errno=True)
_SET_MODE_FILTER, _NEW_LISTENER, _WAIT_KILLABLE = 1, 1 << 3, 1 << 5
_ALLOW, _NOTIFY, _ENOSYS = 0x7FFF0000, 0x7FC00000, 0x00050000 | errno.ENOSYS
_PR_SET_NO_NEW_PRIVS, _PR_SET_PDEATHSIG = 38, 1
_MOST_OPEN = 64
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


class _Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def listener_program(machine: str) -> bytes:
    """The filter: notify for the calls in the tables, allow everything else.

    It looks at the call's number and architecture only, which lets the kernel keep its
    bitmap of calls that are always allowed: those cost nothing.
    """
    blocks = [(arch, sorted(table.values())) for arch, table in ARCHITECTURES[machine]]
    length = 1 + sum(len(numbers) + 4 for _, numbers in blocks) + 3
    program = [_op(0x20, 4)]
    for arch, numbers in blocks:
        program.append(_op(0x15, arch, 0, len(numbers) + 3))
        program.append(_op(0x20, 0))
        for number in numbers:
            program.append(_op(0x15, number, length - len(program) - 2, 0))
        program.append(_op(0x15, IO_URING_SETUP, length - len(program) - 3, 0))
        program.append(_op(0x06, _ALLOW))
    program += [_op(0x06, _ALLOW), _op(0x06, _ENOSYS), _op(0x06, _NOTIFY)]
    assert len(program) == length < 256
    return b"".join(program)


def install_listener() -> int:
    """Install the filter on this thread; the listener's descriptor (seccomp_unotify(2)).

    Without CAP_SYS_ADMIN in the own user namespace the kernel demands NO_NEW_PRIVS, which
    makes setuid programs inert: tried only after EACCES. Raises OSError.
    """
    machine = platform.machine()
    data = listener_program(machine)
    buffer = ctypes.create_string_buffer(data, len(data))
    program = _Program(len(data) // 8, ctypes.addressof(buffer))
    number = 0
    for careful in (False, True):
        if careful and _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            break
        for flags in (_NEW_LISTENER | _WAIT_KILLABLE, _NEW_LISTENER):
            fd: int = _libc.syscall(
                SECCOMP_CALL[machine], _SET_MODE_FILTER, flags, ctypes.byref(program)
            )
            if fd >= 0:
                return fd
            number = ctypes.get_errno()
            if number != errno.EINVAL:
                break
        if number != errno.EACCES:
            break
    raise OSError(number, f"seccomp user notification: {os.strerror(number)}")


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """This process gets the signal when the thread that forked it ends (prctl(2))."""
    _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def enter_namespace(path: str, kind: int) -> None:
    """setns(2) into the namespace of this file (/proc/PID/ns/...). Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(fd, kind):
            number = ctypes.get_errno()
            raise OSError(number, f"setns: {os.strerror(number)}")
    finally:
        os.close(fd)


def unshare(flags: int) -> None:
    """unshare(2). Raises OSError."""
    if _libc.unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, f"unshare: {os.strerror(number)}")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None) -> None:
    """mount(2). Raises OSError."""
    done = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        None if data is None else os.fsencode(data),
    )
    if done:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {kind or ''}: {os.strerror(number)}")


class Peek:
    """Reads other processes' memory; one per supervising thread.

    By /proc/PID/mem (proc(5)), which stays open for the next reads: half the time of
    process_vm_readv(2), which serves where /proc does not.
    """

    def __init__(self) -> None:
        self._open: dict[int, int] = {}
        self._buffer = ctypes.create_string_buffer(4096 + 64)
        self._local = (_Vector * 1)(_Vector(ctypes.addressof(self._buffer), 4096))
        self._remote = (_Vector * 2)()
        self._view = memoryview(self._buffer).cast("B")
        self._call = _libc.process_vm_readv
        self._call.restype = ctypes.c_ssize_t
        self._call.argtypes = [
            ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong,
            ctypes.c_ulong,
        ]  # fmt: skip
        self._places = (ctypes.addressof(self._local), ctypes.addressof(self._remote))

    def close(self) -> None:
        """Close what is open."""
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()

    def forget(self, tid: int) -> None:
        """``tid`` gets other memory: it executes a program."""
        fd = self._open.pop(tid, None)
        if fd is not None:
            os.close(fd)

    def bytes_at(self, tid: int, address: int, count: int) -> bytes | None:
        """Up to ``count`` (at most 4096) bytes; fewer before an unmapped page; None if none."""
        fd = self._open.get(tid)
        if fd is not None:
            try:
                found = os.pread(fd, count, address)
            except OSError:
                found = b""
            if found:
                return found
            # Memory that is gone: another program has the number now.
            self.forget(tid)
        try:
            fd = os.open(f"/proc/{tid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return self._by_call(tid, address, count)
        if len(self._open) >= _MOST_OPEN:
            # The oldest: no number comes round again while its memory is open.
            self.forget(next(iter(self._open)))
        self._open[tid] = fd
        try:
            return os.pread(fd, count, address) or None
        except (OSError, OverflowError):
            return None

    def _by_call(self, tid: int, address: int, count: int) -> bytes | None:
        """The remote side is split at the page boundary: a partial read is per vector."""
        room = 4096 - (address & 4095)
        first = self._remote[0]
        first.base = address
        self._local[0].length = count
        vectors = 1
        first.length = count
        if room < count:
            first.length = room
            second = self._remote[1]
            second.base = address + room
            second.length = count - room
            vectors = 2
        got: int = self._call(tid, self._places[0], 1, self._places[1], vectors, 0)
        return self._view[:got].tobytes() if got > 0 else None

    def text_at(self, tid: int, address: int) -> bytes | None:
        """The NUL-terminated string at ``address``, at most PATH_MAX bytes."""
        if not address:
            return b""
        found = b""
        count = 256
        while len(found) < 4096:
            piece = self.bytes_at(tid, address + len(found), count)
            if piece is None:
                return found or None
            end = piece.find(b"\0")
            if end >= 0:
                return found + piece[:end]
            found += piece
            count = 2048
        return found

    def texts_at(self, tid: int, address: int, width: int, most: int) -> list[bytes]:
        """The strings of a NULL-terminated array of pointers of ``width`` bytes."""
        found: list[bytes] = []
        code = "Q" if width == 8 else "I"
        while address and len(found) < most:
            piece = self.bytes_at(tid, address, 512)
            if not piece or len(piece) < width:
                break
            count = len(piece) // width
            for pointer in struct.unpack(f"<{count}{code}", piece[: count * width]):
                if pointer == 0 or len(found) >= most:
                    return found
                found.append(self.text_at(tid, pointer) or b"")
            address += count * width
        return found


def _op(code: int, value: int, true: int = 0, false: int = 0) -> bytes:
    return struct.pack("HBBI", code, true, false, value)
