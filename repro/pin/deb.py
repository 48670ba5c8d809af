"""Debian's package files from strangers: the paths and hashes of their data (deb(5)).

Nothing is unpacked to disk: ar members are cut by their sizes, the tar inside is read in
pieces by the strict reader.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import os
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from repro.errors import ArchiveError, RemoteError
from repro.primitives import tarformat
from repro.primitives.frames import decompressed
from repro.primitives.frozen import frozen
from repro.primitives.tarread import Limits, TarReader, split_name
from repro.primitives.texts import printable

_MAGIC = b"!<arch>\n"
_HEADER = 60
_READ = 1 << 18
_MEMORY = 256 << 20
_COMPRESSION = {"": "plain", ".gz": "gzip", ".zst": "zstd", ".xz": "xz"}
_LIMITS = Limits(total=16 << 30, entries=500_000)
_CONTROL = Limits(total=64 << 20, entries=1_000)
_TEXT = 16 << 20


class DebError(RemoteError):
    """A package file that was downloaded is damaged, hostile or of an unknown make."""

    slug = "deb"


@frozen
class DebMember:
    """A file or symlink of the package: ``sha256`` of its bytes, or its ``target``."""

    sha256: str | None = None
    target: str | None = None


@frozen
class Deb:
    """What a package ships, by absolute path as the package spells it.

    ``configuration`` are the paths that an administrator may change (conffiles).
    """

    members: dict[str, DebMember]
    configuration: frozenset[str]


Take = Callable[[str, int, Iterator[memoryview]], str]
"""Given a file's path, size and bytes (all to be read): their sha256."""


def hash_only(path: str, size: int, pieces: Iterator[memoryview]) -> str:
    """Take nothing but the sha256."""
    running = hashlib.sha256()
    for piece in pieces:
        running.update(piece)
    return running.hexdigest()


def read_deb(stream: BinaryIO, take: Take = hash_only) -> Deb:
    """Read a .deb; ``take`` is given every file. Raises DebError on anything out of the ordinary."""
    control: bytes | None = None
    members: dict[str, DebMember] | None = None
    version = False
    try:
        for name, part in _ar(stream):
            if name == "debian-binary":
                version = part.read(16).startswith(b"2.")
            elif not version:
                raise DebError("a package file does not begin with debian-binary 2")
            elif name.startswith("control.tar") and control is None:
                control = _conffiles(_plain(part, name[len("control.tar") :]))
            elif name.startswith("data.tar") and members is None:
                members = _data(_plain(part, name[len("data.tar") :]), take)
            elif not name.startswith("_"):
                raise DebError(f"a package file has a member {printable(name, 40)!r}")
    except ArchiveError as error:
        raise DebError(f"a package file is damaged: {error.message}") from None
    except (lzma.LZMAError, EOFError, OSError, MemoryError) as error:
        raise DebError(f"a package file is damaged: {printable(str(error), 80)}") from None
    if control is None or members is None:
        raise DebError("a package file has no control or no data")
    lines = control.decode("utf-8", "surrogateescape").splitlines()
    return Deb(
        members=members,
        configuration=frozenset(line.split(" ")[-1] for line in lines if "/" in line),
    )


def _ar(stream: BinaryIO) -> Iterator[tuple[str, BinaryIO]]:
    """Name and bytes of each ar member, at most 16 of them."""
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise DebError("a package file is no ar archive")
    end = stream.seek(0, io.SEEK_END)
    at = len(_MAGIC)
    for _ in range(16):
        stream.seek(at)
        header = stream.read(_HEADER)
        if not header:
            return
        size = header[48:58].strip()
        if len(header) != _HEADER or header[58:] != b"`\n" or not size.isdigit():
            raise DebError("a package file is cut off, or no ar archive")
        start, length = at + _HEADER, int(size)
        if start + length > end:
            raise DebError("a package file is cut off")
        name = header[:16].decode("ascii", "replace").strip().rstrip("/")
        yield name, cast(BinaryIO, io.BufferedReader(_Part(stream, start, length), _READ))
        at = start + length + length % 2
    raise DebError("a package file has too many members")


class _Part(io.RawIOBase):
    """``length`` bytes of a seekable stream from ``start``."""

    def __init__(self, stream: BinaryIO, start: int, length: int) -> None:
        super().__init__()
        self._stream = stream
        self._at = start
        self._left = length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)[: self._left]  # type: ignore[arg-type]
        self._stream.seek(self._at)
        data = self._stream.read(len(view))
        view[: len(data)] = data
        self._at += len(data)
        self._left -= len(data)
        return len(data)


def _plain(part: BinaryIO, suffix: str) -> Iterator[bytes]:
    kind = _COMPRESSION.get(suffix)
    if kind is None:
        raise DebError(f"a package file is compressed as {printable(suffix, 20)!r}")
    return _xz(part) if kind == "xz" else decompressed(part, kind)


def _xz(part: BinaryIO) -> Iterator[bytes]:
    """All of an xz stream, no piece over the size of what is read at once."""
    tool = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MEMORY)
    while not tool.eof:
        data = part.read(_READ) if tool.needs_input else b""
        if tool.needs_input and not data:
            raise DebError("a package file is cut off")
        yield tool.decompress(data, _READ)
    if tool.unused_data or part.read(1):
        raise DebError("a package file has data after its end")


def _conffiles(chunks: Iterator[bytes]) -> bytes:
    found = b""
    reader = TarReader((chunk for chunk in chunks if chunk), _CONTROL)
    for header in reader:
        if header.name.removeprefix(b"./") == b"conffiles" and header.size <= _TEXT:
            found = b"".join(bytes(piece) for piece in reader.data())
    return found


def _data(chunks: Iterator[bytes], take: Take) -> dict[str, DebMember]:
    found: dict[str, DebMember] = {}
    reader = TarReader((chunk for chunk in chunks if chunk), _LIMITS)
    for header in reader:
        parts = split_name(header.name, _LIMITS)
        path = os.fsdecode(b"/" + b"/".join(parts))
        if header.kind == tarformat.FOLDER:
            continue
        if path in found:
            raise DebError(f"a package file has {printable(path, 80)} twice")
        if header.kind == tarformat.FILE:
            found[path] = DebMember(sha256=take(path, header.size, reader.data()))
        elif header.kind == tarformat.SYMLINK:
            found[path] = DebMember(target=os.fsdecode(header.link))
        elif header.kind == tarformat.HARDLINK:
            first = os.fsdecode(b"/" + b"/".join(split_name(header.link, _LIMITS, header.name)))
            if first not in found:
                raise DebError(f"a package file links {printable(path, 80)} to nothing")
            found[path] = found[first]
        else:
            raise DebError(f"a package file has {printable(path, 80)}, which is no plain file")
    return found


def read_md5sums(data: bytes) -> dict[str, str]:
    """Absolute path and MD5 of each line of a package's md5sums (deb-md5sums(5))."""
    found = {}
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        digest, _, name = line.partition("  ")
        if len(digest) == 32 and name and not name.startswith("/"):
            found[f"/{name}"] = digest.lower()
    return found
