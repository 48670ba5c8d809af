"""Where blobs come from before they are in an archive: memory, a folder, an older archive."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn, Protocol, cast

from repro.errors import ArchiveError
from repro.model.oci import Descriptor
from repro.primitives.digest import Digest
from repro.primitives.frozen import frozen
from repro.primitives.verified import JoinedReader, RangeReader, VerifiedReader

_BUFFER = 1 << 17  # smaller than the pieces that are hashed: those are not copied


@frozen
class Span:
    """``size`` bytes of an open file from ``offset``."""

    fd: int
    offset: int
    size: int


@frozen
class Piece:
    """``span`` is what the blob ``source`` holds from ``offset`` (bytes)."""

    source: Digest
    offset: int
    span: Span


@frozen
class Pieces:
    """A blob in pieces, one behind the other (store/folded.py).

    ``family`` are all blobs of its archive that are in pieces, ``pool`` the blob of that
    archive which holds what no whole one has.
    """

    pieces: tuple[Piece, ...]
    family: frozenset[Digest]
    pool: Digest | None


Place = bytes | Path | Span | Pieces
"""Bytes, a file that holds exactly them, a part of an open file, or several parts."""


class BlobSource(Protocol):
    """Tells where a blob's bytes are; None when it has no such blob."""

    def locate(self, digest: Digest) -> Place | None:
        """Where they are, unverified."""
        ...


class Blobs:
    """Blobs in memory, in a folder as ``<hex>``, and in ``others``, looked up in this order."""

    def __init__(self, folder: Path | None = None, others: Sequence[BlobSource] = ()) -> None:
        self._folder = folder
        self._others = tuple(others)
        self._memory: dict[Digest, bytes] = {}

    def put_bytes(self, data: bytes) -> Digest:
        """Keep a small blob in memory; its digest."""
        digest = Digest.of(data)
        self._memory[digest] = data
        return digest

    def describe(
        self, data: bytes, media_type: str, annotations: Mapping[str, str] | None = None
    ) -> Descriptor:
        """Keep a small blob in memory; its descriptor."""
        return Descriptor(
            media_type=media_type,
            digest=self.put_bytes(data),
            size=len(data),
            annotations=annotations or {},
        )

    def locate(self, digest: Digest) -> Place | None:
        """Where the blob is; None when nowhere."""
        data = self._memory.get(digest)
        if data is not None:
            return data
        if self._folder is not None and (self._folder / digest.hex).is_file():
            return self._folder / digest.hex
        for other in self._others:
            found = other.locate(digest)
            if found is not None:
                return found
        return None

    def open_blob(self, descriptor: Descriptor) -> BinaryIO:
        """A stream of the blob that raises ArchiveError at its end on a wrong digest."""
        place = self.locate(descriptor.digest)
        if place is None:
            raise ArchiveError(f"there is no blob {descriptor.digest.short}", slug="archive-format")
        stream = open_place(place)

        def mismatch(found: Digest, size: int) -> NoReturn:
            raise ArchiveError(
                f"blob {descriptor.digest.short} does not match its digest",
                details=[f"expected {descriptor.digest}, found {found} ({size} bytes)"],
                slug="archive-digest",
            )

        reader = VerifiedReader(stream, descriptor.digest, descriptor.size, mismatch)
        return cast(BinaryIO, reader)


def open_place(place: Place) -> BinaryIO:
    """A seekable stream of a located blob; closing it leaves the files of spans open."""
    if isinstance(place, bytes):
        return io.BytesIO(place)
    if isinstance(place, Path):
        return place.open("rb")
    if isinstance(place, Pieces):
        spans = [piece.span for piece in place.pieces]
        return io.BufferedReader(JoinedReader([(s.fd, s.offset, s.size) for s in spans]), _BUFFER)
    return io.BufferedReader(RangeReader(place.fd, place.offset, place.size), _BUFFER)


def place_size(place: Place) -> int:
    """The blob's size in bytes."""
    if isinstance(place, bytes):
        return len(place)
    if isinstance(place, Pieces):
        return sum(piece.span.size for piece in place.pieces)
    return os.stat(place).st_size if isinstance(place, Path) else place.size
