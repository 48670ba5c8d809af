"""The outer tar, indexed and never extracted: every header and padding byte is checked."""

from __future__ import annotations

import os
import re

from repro.errors import ArchiveError
from repro.primitives import tarformat
from repro.primitives.frozen import frozen
from repro.primitives.tarformat import BLOCK, END, Header, padding
from repro.primitives.texts import printable
from repro.store.documents import BLOBS, FOLDERS, HEAD

_BLOB = re.compile(rf"{BLOBS}[0-9a-f]{{64}}")
_START = (*HEAD, *FOLDERS)
_MAX_MEMBERS = 10_000
_WINDOW = 32 << 10
AGAIN = "download it again, or ask for another copy"


@frozen
class Member:
    """A member's data: ``size`` bytes from ``offset`` in the file."""

    name: str
    offset: int
    size: int


def scan(fd: int, label: str) -> dict[str, Member]:
    """All files by name, in order.

    Accepts only what the writer writes: the five head members in order, two folders, then
    blobs, each name once, canonical headers, zero padding, 1,024 zero bytes at the end and nothing
    after. Raises ArchiveError with slug archive-format, archive-truncated or
    archive-digest; ``label`` names the archive.
    """
    return _Scan(fd, label).members()


class _Scan:
    def __init__(self, fd: int, label: str) -> None:
        self._fd = fd
        self._label = label
        self._size = os.fstat(fd).st_size
        self._window = b""
        self._start = 0
        self._mtime: int | None = None

    def members(self) -> dict[str, Member]:
        found: dict[str, Member] = {}
        position = 0
        while True:
            block = self._read(position, BLOCK)
            if not block.strip(b"\0"):
                break
            header = self._header(block, position)
            name = self._name(header, found)
            offset = position + BLOCK
            end = offset + header.size
            position = end + padding(header.size)
            if position > self._size:
                self._cut(f"inside {name}")
            if self._read(end, position - end).strip(b"\0"):
                self._damaged(f"the padding after {name}")
            found[name] = Member(name=name, offset=offset, size=header.size)
        self._end(found, position)
        return {name: member for name, member in found.items() if name not in FOLDERS}

    def _header(self, block: bytes, position: int) -> Header:
        try:
            header = tarformat.parse(block)
        except ArchiveError:
            if position == 0:
                self._foreign()
            self._damaged(f"the header at byte {position}")
            raise  # not reached
        if self._mtime is None:
            self._mtime = header.mtime
        expected = Header(header.name, size=header.size, mtime=self._mtime)
        if header.name.endswith(b"/"):
            expected = Header(header.name, tarformat.FOLDER, 0, 0o755, self._mtime)
        if tarformat.render(expected) != block:
            if position == 0:
                self._foreign()
            self._damaged(f"the header at byte {position}")
        return header

    def _name(self, header: Header, found: dict[str, Member]) -> str:
        name = os.fsdecode(header.name)
        position = len(found)
        if position == 0 and name != HEAD[0]:
            self._foreign()
        if position < len(_START):
            wrong = name != _START[position]
        else:
            wrong = not _BLOB.fullmatch(name) or name in found or position > _MAX_MEMBERS
        if wrong:
            raise ArchiveError(
                f"{self._label} has the unexpected member '{printable(name, 90)}'",
                slug="archive-format",
            )
        return name

    def _end(self, found: dict[str, Member], position: int) -> None:
        if not found:
            self._foreign()
        if position + len(END) > self._size:
            self._cut("at its end")
        if self._read(position, len(END)) != END:
            self._damaged("its end")
        if len(found) < len(_START):
            raise ArchiveError(f"{self._label} lacks {_START[len(found)]}", slug="archive-format")
        if position + len(END) != self._size:
            extra = self._size - position - len(END)
            raise ArchiveError(
                f"{self._label} has {extra} bytes after its end", hint=AGAIN, slug="archive-format"
            )

    def _read(self, position: int, count: int) -> bytes:
        start = position - self._start
        if start < 0 or start + count > len(self._window):
            self._window = os.pread(self._fd, max(_WINDOW, count), position)
            self._start, start = position, 0
        data = self._window[start : start + count]
        if len(data) < count:
            if self._size < BLOCK:
                self._foreign()
            self._cut(f"at byte {position + len(data)}")
        return data

    def _foreign(self) -> None:
        raise ArchiveError(
            f"{self._label} is not a repro archive",
            hint="an archive is made by `repro snapshot`",
            slug="archive-format",
        )

    def _cut(self, where: str) -> None:
        raise ArchiveError(
            f"{self._label} is cut off {where}",
            hint=AGAIN,
            details=[f"found {self._size} bytes"],
            slug="archive-truncated",
        )

    def _damaged(self, what: str) -> None:
        raise ArchiveError(f"{self._label} is damaged: {what}", hint=AGAIN, slug="archive-digest")
