"""The supervising loop of a seccomp listener: read what a call names, let it go on, note it.

seccomp_unotify(2). CONTINUE is no security boundary (another thread may change a string
after it was read): good for recording, never for enforcing.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
from collections.abc import Callable

from repro.observe.kernel import Peek
from repro.observe.ledger import MAX_ARGUMENTS, O_WRITE, Ledger
from repro.observe.tables import ARCHITECTURES, SIGNATURES, Signature

RECV, SEND, _SET_FLAGS = 0xC0502100, 0xC0182101, 0x40082104
CONTINUE = 1
_AT_FDCWD = -100
NOTICE = struct.Struct("<QIIiIQ6Q")
ANSWER = struct.Struct("<QqiI")
_OPENS = ("open", "openat", "openat2", "creat")
_CREAT_FLAGS = os.O_CREAT | os.O_WRONLY | os.O_TRUNC
_FAMILIES = {1: "unix", 2: "inet", 10: "inet6", 16: "netlink"}

_REMEMBERED = 1 << 16
"""So many opened paths are passed over at once; the ledger knows the others as well, slower."""

BeforeWrite = Callable[[str, bool], None]


class Notifier:
    """Supervises one listener until its last program has ended.

    ``before_write`` is called with an absolute path before a call that may change it goes
    on, and whether a whole folder may move with it; it may copy the file. ``lost`` counts
    the calls that could not be read, per program.
    """

    def __init__(
        self, listener: int, machine: str, ledger: Ledger, before_write: BeforeWrite | None
    ) -> None:
        self._listener = listener
        self._ledger = ledger
        self._before_write = before_write
        self._peek = Peek()
        self._calls: dict[tuple[int, int], tuple[str, Signature]] = {
            (arch, number): (name, SIGNATURES[name])
            for arch, table in ARCHITECTURES[machine]
            for name, number in table.items()
        }
        self._numbers: dict[int, int] = {}
        self._leaders: dict[int, int] = {}
        self._seen: set[bytes] = set()
        self._later: list[Callable[[], None]] = []
        self.events = 0
        self.lost: dict[str, int] = {}

    def run(self, bell: int) -> None:
        """Answer until nobody is left who could ask, or something is to be read at ``bell``.

        Before Linux 6.11 a listener does not tell that the last program has ended as long
        as nobody waited for it, and a pending receive never returns: hence poll and bell.
        """
        try:
            self._answer(bell)
        finally:
            self._peek.close()

    def _answer(self, bell: int) -> None:
        try:
            # Linux 6.6: wake the program on the processor that answered.
            fcntl.ioctl(self._listener, _SET_FLAGS, 1)
        except OSError:
            pass
        notice, answer = bytearray(80), bytearray(24)
        empty = bytes(80)
        ioctl, listener = fcntl.ioctl, self._listener
        poller = select.poll()
        poller.register(listener, select.POLLIN)
        poller.register(bell, select.POLLIN)
        poll = poller.poll
        while True:
            ready = poll()
            if (listener, select.POLLIN) not in ready:
                if any(fd == bell or event & select.POLLHUP for fd, event in ready):
                    return
                continue
            notice[:] = empty
            try:
                ioctl(listener, RECV, notice, True)
            except OSError as error:
                if error.errno in (errno.EINTR, errno.ENOENT):
                    continue  # the caller was killed before its call was received
                raise
            ident, tid, _, number, arch, _, *arguments = NOTICE.unpack_from(notice)
            self.events += 1
            self._later.clear()
            try:
                self._take(tid, number, arch, arguments)
            except Exception:
                # Whatever it was: the program must go on.
                self._lose(tid)
            ANSWER.pack_into(answer, 0, ident, 0, 0, CONTINUE)
            try:
                ioctl(listener, SEND, answer, False)
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise
                continue  # the caller died meanwhile: what was read may be another's
            for note in self._later:
                note()

    def _lose(self, tid: int) -> None:
        number = self._process(tid)
        name = "a program" if number is None else self._ledger.programs[number].exe
        self.lost[name] = self.lost.get(name, 0) + 1

    def _take(self, tid: int, number: int, arch: int, arguments: list[int]) -> None:
        """Read what the call names now; what to note of it goes to ``_later``."""
        name, signature = self._calls[(arch, number)]
        if name == "connect":
            self._connect(tid, arguments)
            return
        raw = self._peek.text_at(tid, arguments[signature.path])
        if raw is None:
            self._lose(tid)
            return
        base = arguments[signature.base] if signature.base is not None else _AT_FDCWD
        if name in _OPENS:
            flags = self._flags(name, tid, signature, arguments)
            if raw[:1] == b"/" and not flags & (O_WRITE | os.O_CREAT | os.O_TRUNC):
                if raw in self._seen:
                    return
                if len(self._seen) >= _REMEMBERED:
                    self._seen.clear()
                self._seen.add(raw)
            self._open(tid, self._absolute(tid, raw, base), flags)
        elif name in ("execve", "execveat"):
            wide = bool(arch & 0x80000000)
            at = 1 if name == "execve" else 2
            argv = self._peek.texts_at(tid, arguments[at], 8 if wide else 4, MAX_ARGUMENTS + 1)
            self._exec(tid, self._absolute(tid, raw, base), argv)
        else:
            self._change(name, tid, raw, base, signature, arguments)

    def _flags(self, name: str, tid: int, signature: Signature, arguments: list[int]) -> int:
        if name == "creat":
            return _CREAT_FLAGS
        assert signature.flags is not None
        value = arguments[signature.flags]
        if name == "openat2":
            how = self._peek.bytes_at(tid, value, 8)
            return int(struct.unpack("<Q", how)[0]) if how and len(how) == 8 else 0
        return value

    def _open(self, tid: int, path: str, flags: int) -> None:
        process = self._process(tid)
        ledger = self._ledger
        if flags & (O_WRITE | os.O_CREAT | os.O_TRUNC):
            existed = ledger.existed(path)
            if self._before_write is not None and flags & os.O_TMPFILE != os.O_TMPFILE:
                self._before_write(path, False)
            self._later.append(lambda: ledger.opened(path, flags, process, lambda: existed))
        else:
            self._later.append(lambda: ledger.opened(path, flags, process, lambda: True))

    def _exec(self, tid: int, path: str, argv: list[bytes]) -> None:
        # Looked at before the call goes on: a short program may be gone right after it.
        self._leaders.pop(tid, None)
        pid = self._leader(tid)
        parent = self._process(tid)
        if path.startswith("/proc/"):
            path = _through_proc(path, tid)

        def locate(found: str) -> str:
            inside = f"/proc/{tid}/root{found}"
            return inside if os.path.lexists(inside) else found

        needed = self._ledger.startable(path, locate)
        if needed is None:
            return
        cwd = _link(f"/proc/{tid}/cwd")
        words = tuple(os.fsdecode(word) for word in argv)
        self._check_root(tid)
        self._peek.forget(tid)

        def note() -> None:
            self._numbers[pid] = self._ledger.executed(needed, words, cwd, pid, parent)

        self._later.append(note)

    def _change(
        self, name: str, tid: int, raw: bytes, base: int, signature: Signature,
        arguments: list[int],
    ) -> None:  # fmt: skip
        path = self._absolute(tid, raw, base)
        process = self._process(tid)
        ledger = self._ledger
        existed = ledger.existed(path)
        if signature.second is not None:
            other_raw = self._peek.text_at(tid, arguments[signature.second]) or b""
            other_base = (
                arguments[signature.second_base] if signature.second_base is not None else _AT_FDCWD
            )
            other = self._absolute(tid, other_raw, other_base)
            self._keep(path, other, tree=name.startswith("rename"))
            if name.startswith("link"):
                if _is_there(tid, other):
                    return  # it fails (link(2), symlink(2))
                self._later.append(lambda: ledger.read(path, process) if existed else None)
                self._later.append(lambda: ledger.wrote(other, process))
            else:
                if ledger.links:
                    self._seen.clear()
                below = _files_below(path) if existed else []
                self._later.append(lambda: ledger.moved(path, other, process, existed, below))
            return
        self._keep(path)
        if name == "truncate" and existed:
            self._later.append(lambda: ledger.read(path, process))
        if name in ("unlink", "unlinkat", "rmdir"):
            if existed or path in ledger.lines:
                self._later.append(lambda: ledger.removed(path, process))
            return
        if signature.text is not None and _is_there(tid, path):
            return
        self._later.append(lambda: ledger.wrote(path, process))
        if signature.text is not None:
            text = os.fsdecode(self._peek.text_at(tid, arguments[signature.text]) or b"")
            self._later.append(lambda: ledger.links.made(path, text))
            self._seen.clear()  # what was opened there before was something else

    def _keep(self, *paths: str, tree: bool = False) -> None:
        if self._before_write is not None:
            for path in paths:
                self._before_write(path, tree)

    def _connect(self, tid: int, arguments: list[int]) -> None:
        data = self._peek.bytes_at(tid, arguments[1], min(arguments[2] & 0xFFFF, 128)) or b""
        if len(data) < 2:
            return
        family = _FAMILIES.get(struct.unpack("<H", data[:2])[0])
        process = self._process(tid)
        if family == "unix":
            address = os.fsdecode(data[2:].split(b"\0", 1)[0]) or "(abstract)"
            if not address.startswith("/") or os.path.exists(address):
                self._ledger.connected(process, family, address, None)
        elif family == "inet" and len(data) >= 8:
            (port,) = struct.unpack(">H", data[2:4])
            self._ledger.connected(process, family, socket.inet_ntoa(data[4:8]), port)
        elif family == "inet6" and len(data) >= 24:
            (port,) = struct.unpack(">H", data[2:4])
            address = socket.inet_ntop(socket.AF_INET6, data[8:24])
            self._ledger.connected(process, family, address, port)

    def _absolute(self, tid: int, raw: bytes, base: int) -> str:
        """The path as spelled, made absolute; "." and empty segments removed, ".." kept."""
        if raw[:1] != b"/":
            base = base & 0xFFFFFFFF
            base = base - (1 << 32) if base >> 31 else base
            where = f"/proc/{tid}/cwd" if base == _AT_FDCWD else f"/proc/{tid}/fd/{base}"
            folder = os.fsencode(os.readlink(where))
            raw = folder + b"/" + raw if raw else folder
        return plain_path(raw)

    def _process(self, tid: int) -> int | None:
        """The number of the program that this thread runs."""
        leader = self._leader(tid)
        number = self._numbers.get(leader)
        if number is None:
            parent = _parent(leader)
            number = self._numbers.get(parent) if parent is not None else None
            if number is not None:
                self._numbers[leader] = number
        return number

    def _leader(self, tid: int) -> int:
        leader = self._leaders.get(tid)
        if leader is None:
            leader = _group(tid)
            self._leaders[tid] = leader
        return leader

    def _check_root(self, tid: int) -> None:
        root = _link(f"/proc/{tid}/root")
        if root not in ("/", ""):
            self._ledger.remarks[
                f"a program ran below another root ({root}): its paths were noted as it spelled them"
            ] = None


def _through_proc(path: str, tid: int) -> str:
    """What /proc/self/exe and its like mean for another process."""
    for own in ("self", "thread-self"):
        if path.startswith(f"/proc/{own}/"):
            path = f"/proc/{tid}/{path[len(own) + 7 :]}"
    return _link(path) or path


def _files_below(path: str) -> list[str]:
    """The files of a folder that is about to be moved: their content moves as well."""
    if os.path.islink(path) or not os.path.isdir(path):
        return []
    return [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]


def plain_path(raw: bytes) -> str:
    """``raw`` (absolute) without "." and empty segments."""
    if b"//" in raw or b"/." in raw or raw.endswith(b"/"):
        parts = [part for part in raw.split(b"/") if part not in (b"", b".")]
        raw = b"/" + b"/".join(parts)
    return os.fsdecode(raw)


def _is_there(tid: int, path: str) -> bool:
    """Whether the program sees anything at this path (absolute links: where they lead here)."""
    return os.path.lexists(f"/proc/{tid}/root{path}")


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _group(tid: int) -> int:
    """The process of a thread. A pidfd is had for processes only (pidfd_open(2)), and quickly."""
    try:
        os.close(os.pidfd_open(tid))
        return tid
    except OSError:
        pass
    try:
        with open(f"/proc/{tid}/status", "rb", 0) as stream:
            data = stream.read(400)
        return int(data.split(b"\nTgid:", 1)[1].split(None, 1)[0])
    except (OSError, IndexError, ValueError):
        return tid


def _parent(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb", 0) as stream:
            data = stream.read(600)
        return int(data[data.rindex(b")") + 2 :].split()[1])
    except (OSError, IndexError, ValueError):
        return None
