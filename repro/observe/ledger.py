"""What is known of a run so far: per path one line, per program one line.

Both tracers feed it; nothing here knows how an event was seen.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from repro.model.observation import Access, Connection, ProcessSeen

O_WRITE = os.O_WRONLY | os.O_RDWR
_SKIPPED = ("/proc/", "/sys/", "/dev/")
_GPU = ("/dev/nvidia", "/dev/dri/", "/dev/kfd")
_MAX_ARGUMENTS = 64
_SCRIPT_DEPTH = 4


@dataclass(slots=True)
class _Line:
    read: bool = False
    read_first: bool = False
    written: bool = False
    executed: bool = False
    listed: bool = False
    reader: int | None = None
    writer: int | None = None


@dataclass
class Ledger:
    """Collects accesses. ``hidden`` are absolute paths that count as not there before,
    ``seeded`` such that only the run can see.

    ``locate`` gives a readable host path for what a process calls ``path`` (the plain path,
    unless the program lives in another root).
    """

    hidden: frozenset[str] = frozenset()
    seeded: frozenset[str] = frozenset()
    lines: dict[str, _Line] = field(default_factory=dict)
    programs: list[ProcessSeen] = field(default_factory=list)
    connections: dict[tuple[int | None, str, str, int | None], None] = field(default_factory=dict)
    remarks: dict[str, None] = field(default_factory=dict)
    _interpreters: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def existed(self, path: str) -> bool:
        """Whether the path is there now, from outside: for the project, before the run."""
        return path in self.seeded or (path not in self.hidden and os.path.lexists(path))

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
            self._opened_for_reading(path, process)

    def _opened_for_writing(
        self, path: str, flags: int, process: int | None, existed: bool
    ) -> None:
        if not existed and not flags & os.O_CREAT and path not in self.lines:
            return
        keeps = not flags & os.O_TRUNC
        if existed and keeps and not flags & os.O_EXCL:
            # Opened without truncation: what was in it before shows through.
            self.read(path, process)
        if flags & O_WRITE or not existed:
            self.wrote(path, process)

    def _opened_for_reading(self, path: str, process: int | None) -> None:
        line = self.lines.get(path)
        if path in self.seeded or (line is not None and (line.written or line.read)):
            self.read(path, process)
            return
        if path in self.hidden:
            return
        try:
            status = os.stat(path)
        except OSError:
            return
        if stat.S_ISDIR(status.st_mode):
            self._line(path).listed = True
        else:
            self.read(path, process)

    def read(self, path: str, process: int | None) -> None:
        """Its content was needed."""
        line = self._line(path)
        if not line.written:
            line.read_first = True
        line.read = True
        if line.reader is None:
            line.reader = process

    def wrote(self, path: str, process: int | None) -> None:
        """It was created, changed, replaced or removed."""
        if path.startswith(_SKIPPED):
            return
        line = self._line(path)
        line.written = True
        if line.writer is None:
            line.writer = process

    def moved(self, old: str, new: str, process: int | None, existed: bool) -> None:
        """A rename or hard link: the old file's content becomes the new one's."""
        if existed:
            self.read(old, process)
        self.wrote(old, process)
        self.wrote(new, process)

    def executed(
        self, path: str, argv: tuple[str, ...], cwd: str, pid: int, parent: int | None,
        locate: Callable[[str], str],
    ) -> int | None:  # fmt: skip
        """A program was started; its number, or None when there is no such file."""
        found = locate(path)
        if not os.path.isfile(found) or not os.stat(found).st_mode & 0o111:
            return None
        number = len(self.programs)
        self.programs.append(
            ProcessSeen(
                number=number, pid=pid, parent=parent, exe=path,
                argv=argv[:_MAX_ARGUMENTS], cwd=cwd,
            )
        )  # fmt: skip
        for each in (path, *self._needed_by(path, locate)):
            self.read(each, number)
            self._line(each).executed = True
        return number

    def connected(self, process: int | None, family: str, address: str, port: int | None) -> None:
        """A connection was tried."""
        self.connections[(process, family, address, port)] = None

    def accesses(self) -> tuple[Access, ...]:
        """One Access per path, sorted by bytes."""
        return tuple(
            Access(
                path=path, read=line.read, read_first=line.read_first, written=line.written,
                executed=line.executed, listed=line.listed, first_reader=line.reader,
                first_writer=line.writer,
            )
            for path, line in sorted(self.lines.items(), key=lambda item: os.fsencode(item[0]))
        )  # fmt: skip

    def seen_connections(self) -> tuple[Connection, ...]:
        """Connections in the order of their first attempt."""
        return tuple(
            Connection(process=process, family=family, address=address, port=port)
            for process, family, address, port in self.connections
        )

    def _line(self, path: str) -> _Line:
        line = self.lines.get(path)
        if line is None:
            line = self.lines[path] = _Line()
        return line

    def _needed_by(self, path: str, locate: Callable[[str], str]) -> tuple[str, ...]:
        """What the kernel itself opens to start a program: interpreters and ELF loaders."""
        if path not in self._interpreters:
            self._interpreters[path] = tuple(interpreters(path, locate))
        return self._interpreters[path]


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
    except (struct.error, IndexError):
        return None
    return None
