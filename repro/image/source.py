"""The bytes of one file as they go into a layer."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator

from repro.errors import ProjectError
from repro.model.entry import FileEntry
from repro.primitives.texts import printable

_CHUNK = 1 << 20
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PYC_HEADER = 16


def chunks_of(entry: FileEntry, clamp: int) -> Iterator[bytes]:
    """The entry's bytes, exactly as many as its size says.

    Timestamp-based ``.pyc`` files get the clamp as their source's time. Raises
    ProjectError naming the file when it cannot be read, or when it is not the plain
    file of that size any more, at the beginning or at the end.
    """
    if entry.content is not None:
        yield _stamped(entry.path, entry.content, clamp)
        return
    source = entry.source or entry.path
    try:
        yield from _file(entry, source, clamp)
    except OSError as error:
        raise ProjectError(
            f"{printable(source)} cannot be read: {error.strerror}",
            hint="nothing was written; make it readable, or exclude it in repro.yml",
            slug="unreadable",
        ) from None


def _file(entry: FileEntry, source: str, clamp: int) -> Iterator[bytes]:
    fd = os.open(source, _OPEN)
    try:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode) or before.st_size != entry.size:
            raise _changed(source)
        left = entry.size
        first = True
        while left:
            data = os.read(fd, min(left, _CHUNK))
            if not data:
                raise _changed(source)
            left -= len(data)
            yield _stamped(entry.path, data, clamp) if first else data
            first = False
        after = os.fstat(fd)
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise _changed(source)
    finally:
        os.close(fd)


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
