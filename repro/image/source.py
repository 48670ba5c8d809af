"""The bytes of one file as they go into a layer."""

from __future__ import annotations

import os
import stat
import struct
from typing import Protocol

from repro.errors import ProjectError
from repro.model.entry import FileEntry
from repro.primitives.texts import printable

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PYC_HEADER = 16


class Sink(Protocol):
    """What takes a file's bytes: read straight into its memory, or written.

    What its own disk refuses is no OSError: that would be told of the file.
    """

    def room(self) -> memoryview:
        """Where the next bytes go, at least one."""
        ...

    def filled(self, count: int) -> None:
        """The first ``count`` bytes of ``room`` are there."""
        ...

    def write(self, data: bytes) -> None:
        """Add bytes."""
        ...


def pour(entry: FileEntry, clamp: int, sink: Sink) -> None:
    """Give the entry's bytes to ``sink``, exactly as many as its size says.

    Timestamp-based ``.pyc`` files get the clamp as their source's time. Raises
    ProjectError naming the file when it cannot be read, or when it is not the plain
    file of that size any more, at the beginning or at the end.
    """
    if entry.content is not None:
        sink.write(_stamped(entry.path, entry.content, clamp))
        return
    source = entry.source or entry.path
    try:
        fd = os.open(source, _OPEN)
        try:
            _file(fd, entry, source, clamp, sink)
        finally:
            os.close(fd)
    except OSError as error:
        raise ProjectError(
            f"{printable(source)} cannot be read: {error.strerror}",
            hint="nothing was written; make it readable, or exclude it in repro.yml",
            slug="unreadable",
        ) from None


def _file(fd: int, entry: FileEntry, source: str, clamp: int, sink: Sink) -> None:
    before = os.fstat(fd)
    if not stat.S_ISREG(before.st_mode) or before.st_size != entry.size:
        raise _changed(source)
    left = entry.size
    if entry.path.endswith(".pyc"):
        head = os.read(fd, min(left, _PYC_HEADER))
        left -= len(head)
        sink.write(_stamped(entry.path, head, clamp))
    while left:
        count = os.readv(fd, (sink.room()[:left],))
        if not count:
            raise _changed(source)
        left -= count
        sink.filled(count)
    after = os.fstat(fd)
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise _changed(source)


def _changed(source: str) -> ProjectError:
    return ProjectError(
        f"{printable(source)} changed while it was packed",
        hint="nothing was written; stop what writes to it, then take the snapshot again",
        slug="changed",
    )


def _stamped(path: str, data: bytes, clamp: int) -> bytes:
    """A pyc's header (PEP 552): magic, flags, source time, source size; flags 0 means time."""
    if not path.endswith(".pyc") or len(data) < _PYC_HEADER or data[4:8] != bytes(4):
        return data
    return data[:8] + struct.pack("<I", clamp & 0xFFFFFFFF) + data[12:]
