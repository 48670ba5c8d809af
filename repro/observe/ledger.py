"""What is known of a run so far: per path one line, per program one line.

Both tracers feed it; nothing here knows how an event was seen.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from repro.model.observation import Connection, ProcessSeen
from repro.observe.lines import Accesses, Lines
from repro.observe.run_links import RunLinks
from repro.observe.touches import Touches
from repro.primitives.texts import printable

O_WRITE = os.O_WRONLY | os.O_RDWR
_SKIPPED = ("/proc/", "/sys/", "/dev/")
_GPU = ("/dev/nvidia", "/dev/dri/", "/dev/kfd")
MAX_ARGUMENTS = 64
"""So many arguments of a program are kept; a last word "..." stands for the others."""

_SCRIPT_DEPTH = 4


@dataclass
class Ledger:
    """Collects accesses. ``hidden`` are absolute paths (folders with all below them) that
    count as not there before, ``seeded`` such that only the run can see.

    ``seen_before`` gives the place where a path's state before the run can be looked at.
    ``user`` is the effective user id of the run. ``step`` is the name of the step that runs;
    ``touches``, where it is wanted, what that step touched.
    """

    hidden: frozenset[str] = frozenset()
    seeded: frozenset[str] = frozenset()
    seen_before: Callable[[str], str] = str
    user: int = 0
    lines: Lines = field(default_factory=Lines)
    programs: list[ProcessSeen] = field(default_factory=list)
    connections: dict[tuple[int | None, str, str, int | None], None] = field(default_factory=dict)
    remarks: dict[str, None] = field(default_factory=dict)
    links: RunLinks = field(default_factory=RunLinks)
    step: str | None = None
    touches: Touches | None = None
    _interpreters: dict[tuple[str, int, int], tuple[str, ...]] = field(default_factory=dict)
    _hidden_names: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._hidden_names = frozenset(path.rpartition("/")[2] for path in self.hidden)

    def existed(self, path: str) -> bool:
        """Whether the path was there, from outside: for the project, before the run."""
        if path in self.seeded:
            return True
        return not self._is_hidden(path) and os.path.lexists(self.seen_before(path))

    def _is_hidden(self, path: str) -> bool:
        if not self.hidden:
            return False
        if not self._hidden_names.isdisjoint(path.split("/")):
            # Its own name or a folder's: compare real places, since a path can be spelled
            # in many ways.
            real = os.path.realpath(path)
            for place in (path, real):
                while len(place) > 1:
                    if place in self.hidden:
                        return True
                    place = place.rpartition("/")[0]
        return False

    def opened(
        self, path: str, flags: int, process: int | None, existed: Callable[[], bool]
    ) -> None:
        """An open; ``existed`` is asked only when it matters."""
        if path.startswith(_SKIPPED):
            if path.startswith(_GPU):
                self.remarks["a GPU device was opened; results may depend on it"] = None
            return
        if flags & (O_WRITE | os.O_CREAT | os.O_TRUNC):
            self._opened_for_writing(path, flags, process, existed())
        else:
            path = self.links.behind(path) or path
            if self.touches is not None:
                self.touches.opened.add(path)
            self._opened_for_reading(path, process)

    def _opened_for_writing(
        self, path: str, flags: int, process: int | None, existed: bool
    ) -> None:
        line = self.lines.get(path)
        if not existed and not flags & os.O_CREAT and line is None:
            return
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            return  # a nameless file in a folder; it gets its name by a link
        if existed and flags & os.O_CREAT and flags & os.O_EXCL:
            if line is None or not line.written:
                return  # it fails: the file is there
        elif existed and not flags & os.O_TRUNC:
            # Opened without truncation: what was in it before shows through.
            self.read(path, process)
        if flags & O_WRITE or not existed:
            self.wrote(path, process)
            if line is None and not existed:
                self.lines.note(path, fresh=True)

    def _opened_for_reading(self, path: str, process: int | None) -> None:
        line = self.lines.get(path)
        if path in self.seeded or (line is not None and line.read):
            self.read(path, process)
            return
        if self._is_hidden(path) or (line is not None and line.fresh):
            return
        try:
            status = os.stat(self.seen_before(path))
        except OSError:
            return
        if stat.S_ISDIR(status.st_mode):
            self.lines.note(path, listed=True)
        else:
            self.read(path, process)

    def read(self, path: str, process: int | None) -> None:
        """Its content was needed."""
        if path.startswith(_SKIPPED):
            return
        if self.touches is not None:
            self.touches.opened.add(path)
        line = self.lines.get(path)
        if line is None:
            self.lines.note(path, read=True, read_first=True, reader=process)
        elif not line.read or line.reader is None or not (line.read_first or line.written):
            reader = process if line.reader is None else line.reader
            first = line.read_first or not line.written
            self.lines.note(path, read=True, read_first=first, reader=reader)

    def wrote(self, path: str, process: int | None) -> None:
        """It was created, changed, replaced or removed."""
        if path.startswith(_SKIPPED):
            return
        if self.touches is not None:
            self.touches.written.add(path)
        line = self.lines.get(path)
        if line is None:
            self.lines.note(path, written=True, writer=process)
        elif not line.written or line.writer is None:
            writer = process if line.writer is None else line.writer
            self.lines.note(path, written=True, writer=writer)

    def removed(self, path: str, process: int | None) -> None:
        """It, or the folder with all in it, is gone."""
        self.wrote(path, process)
        self.links.removed(path)

    def moved(
        self,
        old: str,
        new: str,
        process: int | None,
        existed: bool,
        below: Collection[str] = (),
    ) -> None:
        """A rename: the old file's content, of a folder all ``below`` it, becomes the new one's."""
        for path in (old, *below) if existed else ():
            self.read(path, process)
        self.wrote(old, process)
        self.wrote(new, process)
        self.links.moved(old, new)

    def startable(self, path: str, locate: Callable[[str], str]) -> tuple[str, ...] | None:
        """What the kernel opens to start ``path``: itself, its interpreters, its ELF loader.

        None when there is no such program. ``locate`` gives the host path under which the
        starting process's file can be read.
        """
        found = locate(path)
        try:
            status = os.stat(found)
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode) or not status.st_mode & 0o111:
            return None
        if status.st_mode & stat.S_ISUID and status.st_uid != self.user:
            self.remarks[
                f"{printable(path)} is a set-uid program: it ran without its owner's rights"
            ] = None
        key = (path, status.st_ino, status.st_mtime_ns)
        if key not in self._interpreters:
            self._interpreters[key] = tuple(interpreters(path, locate))
        return (path, *self._interpreters[key])

    def executed(
        self, needed: tuple[str, ...], argv: tuple[str, ...], cwd: str, pid: int,
        parent: int | None,
    ) -> int:  # fmt: skip
        """A program was started; ``needed`` is ``startable``'s answer. Returns its number."""
        number = len(self.programs)
        if len(argv) > MAX_ARGUMENTS:
            argv = (*argv[:MAX_ARGUMENTS], "...")
        self.programs.append(
            ProcessSeen(
                number=number, pid=pid, parent=parent, exe=needed[0], argv=argv, cwd=cwd,
                step=self.step,
            )
        )  # fmt: skip
        for spelled in needed:
            each = self.links.behind(spelled) or spelled
            if self.touches is not None:
                self.touches.opened.add(each)
            if each in self.lines or self.existed(each):
                self.read(each, number)
                self.lines.note(each, executed=True)
        return number

    def started(self, path: str, argv: tuple[str, ...], cwd: str) -> None:
        """A step's command, where nothing else is observed: what it needs is not known."""
        self.programs.append(
            ProcessSeen(
                number=len(self.programs), pid=0, parent=None, exe=path,
                argv=argv[:MAX_ARGUMENTS], cwd=cwd, step=self.step,
            )
        )  # fmt: skip

    def connected(self, process: int | None, family: str, address: str, port: int | None) -> None:
        """A connection was tried."""
        self.connections[(process, family, address, port)] = None

    def accesses(self) -> Accesses:
        """One Access per path, sorted by bytes."""
        return Accesses(self.lines)

    def seen_connections(self) -> tuple[Connection, ...]:
        """Connections in the order of their first attempt."""
        return tuple(
            Connection(process=process, family=family, address=address, port=port)
            for process, family, address, port in self.connections
        )


def interpreters(path: str, locate: Callable[[str], str]) -> Iterator[str]:
    """The ``#!`` programs (up to four deep) and the PT_INTERP loaders behind ``path``.

    The kernel opens them without a system call of the process (execve(2), elf(5)).
    """
    for _ in range(_SCRIPT_DEPTH):
        try:
            with open(locate(path), "rb") as stream:
                head = stream.read(4096)
                if head[:4] == b"\x7fELF":
                    loader = _elf_loader(head, stream.read(8192))
                    if loader:
                        yield os.fsdecode(loader)
                    return
        except OSError:
            return
        if head[:2] != b"#!":
            return
        words = head[2:].split(b"\n", 1)[0].split()
        if not words or not words[0].startswith(b"/"):
            return
        path = os.fsdecode(words[0])
        yield path


def _elf_loader(head: bytes, more: bytes) -> bytes | None:
    data = head + more
    try:
        wide = data[4] == 2
        if wide:
            (offset,) = struct.unpack_from("<Q", data, 32)
            size, count = struct.unpack_from("<HH", data, 54)
        else:
            (offset,) = struct.unpack_from("<I", data, 28)
            size, count = struct.unpack_from("<HH", data, 42)
        for number in range(count):
            at = offset + number * size
            (kind,) = struct.unpack_from("<I", data, at)
            if kind != 3:
                continue
            if wide:
                (start,) = struct.unpack_from("<Q", data, at + 8)
                (length,) = struct.unpack_from("<Q", data, at + 32)
            else:
                (start,) = struct.unpack_from("<I", data, at + 4)
                (length,) = struct.unpack_from("<I", data, at + 16)
            return data[start : start + length].rstrip(b"\0")
    except (struct.error, IndexError, OverflowError):
        return None
    return None
