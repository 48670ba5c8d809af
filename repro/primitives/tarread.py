"""A strict reader for tar streams from strangers: one meaning per byte, or refusal.

It refuses what two readers could understand differently: wrong checksums, two sizes,
sparse members, data after the end, unknown pax keys, extended attributes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NoReturn

from repro.errors import ArchiveError
from repro.primitives import tarformat
from repro.primitives.frozen import frozen
from repro.primitives.tarformat import BLOCK, Header, padding
from repro.primitives.texts import printable

_EXTENSION_LIMIT = 64 << 10
_PAX_IGNORED = frozenset(
    (b"mtime", b"atime", b"ctime", b"uid", b"gid", b"uname", b"gname", b"comment")
)
_EXTENSIONS = {
    tarformat.PAX: b"",
    tarformat.GNU_NAME: b"path",
    tarformat.GNU_LINK: b"linkpath",
}
_PIECE = 4 << 20


@frozen
class Limits:
    """What a layer may cost. Sizes in bytes.

    ``ratio`` bounds plain bytes against compressed ones, once ``floor`` plain bytes
    are passed. ``depth`` counts folders, ``name`` and ``path`` bytes. ``plain`` is what the
    stream may unpack to in all, headers and padding included, where that is known.
    """

    total: int = 1 << 40
    plain: int | None = None
    ratio: int = 1000
    floor: int = 1 << 30
    entries: int = 2_000_000
    depth: int = 256
    name: int = 255
    path: int = 4095


def refuse(member: bytes, why: str) -> NoReturn:
    """Raise the ArchiveError that names a member."""
    shown = printable(os.fsdecode(member), 100)
    raise ArchiveError(f"member '{shown}' {why}", slug="archive-hostile")


class TarReader:
    """Members of a tar stream, in order. Read a member's data before asking for the next."""

    def __init__(self, chunks: Iterator[bytes], limits: Limits) -> None:
        self._chunks = chunks
        self._limits = limits
        self._chunk = memoryview(b"")
        self._left = 0
        self._budget = limits.total
        self._consumed = 0
        self._member = b""

    def __iter__(self) -> Iterator[Header]:
        entries = 0
        while True:
            self._skip()
            header = self._next()
            if header is None:
                return
            entries += 1
            if entries > self._limits.entries:
                raise ArchiveError(
                    f"more than {self._limits.entries} entries in one layer", slug="archive-limit"
                )
            yield header

    def data(self) -> Iterator[memoryview]:
        """The current member's bytes in pieces."""
        while self._left:
            piece = self._some(min(self._left, _PIECE))
            self._left -= len(piece)
            if not self._left:
                self._pad()
            yield piece

    def _skip(self) -> None:
        if self._left:
            for _ in self.data():
                pass

    def _next(self) -> Header | None:
        extra: dict[bytes, bytes] = {}
        extensions: set[bytes] = set()
        while True:
            block = self._exactly(BLOCK)
            if not block.strip(b"\0"):
                self._finish(bool(extensions))
                return None
            header = tarformat.parse(block)
            self._member = header.name
            if header.kind not in _EXTENSIONS:
                return self._complete(header, extra)
            more = self._extension(header)
            if header.kind in extensions or extra.keys() & more.keys():
                refuse(header.name, "is a second extension header for one member")
            extensions.add(header.kind)
            extra.update(more)

    def _complete(self, header: Header, extra: dict[bytes, bytes]) -> Header:
        if extra:
            header = header._replace(
                name=extra.get(b"path", header.name),
                link=extra.get(b"linkpath", header.link),
            )
            self._member = header.name
        if extra and extra.get(b"size", b"%d" % header.size) != b"%d" % header.size:
            refuse(header.name, "has two different sizes")
        if header.kind != tarformat.FILE and header.size:
            refuse(header.name, "is no plain file but has data")
        if header.size > self._budget:
            refuse(header.name, f"exceeds the limit of {self._limits.total} bytes per layer")
        self._budget -= header.size
        self._left = header.size
        return header

    def _extension(self, header: Header) -> dict[bytes, bytes]:
        if header.size > _EXTENSION_LIMIT:
            refuse(header.name, f"is an extension header over {_EXTENSION_LIMIT} bytes")
        data = self._exactly(header.size)
        if self._exactly(padding(header.size)).strip(b"\0"):
            refuse(header.name, "has data in its padding")
        if header.kind != tarformat.PAX:
            return {_EXTENSIONS[header.kind]: _long_name(data)}
        found = tarformat.parse_pax(data)
        for key, value in found.items():
            if key in _PAX_IGNORED:
                continue
            if key not in (b"path", b"linkpath", b"size") or b"\0" in value or not value:
                refuse(key, "is a pax key or value that is not accepted")
        return {key: value for key, value in found.items() if key not in _PAX_IGNORED}

    def _finish(self, dangling: bool) -> None:
        if dangling:
            raise ArchiveError("a tar extension header has no member", slug="archive-tar")
        if self._exactly(BLOCK).strip(b"\0"):
            raise ArchiveError("one zero block inside the tar", slug="archive-tar")
        while self._fill():
            if self._chunk.tobytes().strip(b"\0"):
                raise ArchiveError("data after the end of the tar", slug="archive-tar")
            self._chunk = memoryview(b"")

    def _pad(self) -> None:
        # The member's own size is gone from the header by now; blocks align the stream.
        rest = -self._consumed % BLOCK
        if rest and self._exactly(rest).strip(b"\0"):
            refuse(self._member, "has data in its padding")

    def _fill(self) -> bool:
        while not self._chunk:
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._chunk = memoryview(chunk)
        return True

    def _some(self, count: int) -> memoryview:
        if not self._fill():
            after = f" in '{printable(os.fsdecode(self._member), 100)}'" if self._member else ""
            raise ArchiveError(f"the tar ends early{after}", slug="archive-truncated")
        piece = self._chunk[:count]
        self._chunk = self._chunk[count:]
        self._consumed += len(piece)
        return piece

    def _exactly(self, count: int) -> bytes:
        piece = self._chunk[:count]
        if len(piece) == count:  # nearly always all of it is there
            self._chunk = self._chunk[count:]
            self._consumed += count
            return bytes(piece)
        found = bytes(self._some(count)) if count else b""
        while len(found) < count:
            found += self._some(count - len(found))
        return found


def _long_name(data: bytes) -> bytes:
    value = data[:-1] if data.endswith(b"\0") else data
    if not value or b"\0" in value:
        raise ArchiveError("a GNU long name is not valid", slug="archive-tar")
    return value


def split_name(name: bytes, limits: Limits, member: bytes | None = None) -> list[bytes]:
    """A member's path segments below the root. Raises ArchiveError on any way out of it.

    ``member`` is who is named in the error when ``name`` is a link's target.

    ``./a/`` and ``a`` are the same path; the root itself (``./``) has no segments.
    """
    who, what = (name, "name") if member is None else (member, "link target")
    if not name or b"\0" in name:
        refuse(who, f"has no valid {what}")
    if name.startswith(b"/"):
        refuse(who, f"has an absolute {what}")
    path = name[2:] if name.startswith(b"./") else name
    path = path[:-1] if path.endswith(b"/") else path
    parts = [] if path in (b"", b".") else path.split(b"/")
    for part in parts:
        if part in (b"", b".", b".."):
            refuse(who, f"has an empty, . or .. segment in its {what}")
        if len(part) > limits.name:
            refuse(who, f"has a segment over {limits.name} bytes in its {what}")
    if len(path) > limits.path or len(parts) > limits.depth:
        refuse(who, f"has a {what} over {limits.path} bytes or {limits.depth} levels")
    return parts
