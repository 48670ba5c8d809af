"""A layer made again from its parts, and compressed as it was; everything checked."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from repro.errors import ArchiveError
from repro.image.pieces import Piece, Pool
from repro.image.thinning import PYC_HEADER
from repro.model.oci import Layer, text, whole
from repro.model.thin import Part
from repro.primitives.chunks import Chunks
from repro.primitives.digest import Digest
from repro.primitives.frames import FrameWriter
from repro.primitives.frozen import frozen
from repro.primitives.tarread import Limits
from repro.primitives.texts import printable
from repro.primitives.untar import untar

_ZEROS = bytes(1 << 20)

Find = Callable[[Part], Piece | None]
"""The piece of a part that lies elsewhere; None for bytecode that is not compiled yet."""


@frozen
class Rebuilt:
    """A layer's new blob: compressed ``digest``, ``size`` and length of each of its ``frames``."""

    digest: Digest
    size: int
    frames: tuple[int, ...]


@frozen
class Sources:
    """What a layer is made from. ``name`` says for people where a part comes from.

    ``entries`` is the layer's file list: it tells early, and by name, what cannot fit.
    """

    parts: Sequence[Part]
    rest: Callable[[], Iterator[bytes]]
    pool: Pool
    find: Find
    name: Callable[[Part], str]
    entries: Sequence[Mapping[str, Any]]


def rebuild(sources: Sources, layer: Layer, level: int, blobs: Path) -> Rebuilt:
    """Write the layer's blob into the folder ``blobs`` as ``<hex>``.

    Raises ArchiveError (slug thin-mismatch), naming file and package, when a part is not what
    belongs there, and when the whole does not have the layer's diff_id.
    """
    temporary = blobs / f".layer-{layer.diff_id.hex}"
    try:
        with temporary.open("wb") as out, FrameWriter(out, level=level) as frames:
            for chunk in plain_bytes(sources):
                frames.write(chunk)
            digest, diff_id = frames.finish()
        if diff_id != layer.diff_id:
            raise ArchiveError(
                f"a {layer.kind} layer cannot be made again: something that the thin archive "
                "itself holds is wrong",
                details=[f"expected {layer.diff_id}, found {diff_id}"],
                hint="ask for another copy of the thin archive, or for the whole one",
                slug="thin-mismatch",
            )
        temporary.replace(blobs / digest.hex)
    finally:
        temporary.unlink(missing_ok=True)
    return Rebuilt(digest=digest, size=frames.size, frames=tuple(frames.frames))


def unpack_without_bytecode(sources: Sources, target: Path, limits: Limits) -> None:
    """The layer's files in an empty folder, bytecode that is not compiled yet full of zeros.

    Python takes such a file for one of another version and reads the source.
    """
    running = hashlib.sha256()
    for chunk in plain_bytes(sources):
        running.update(chunk)
    stream = cast(BinaryIO, io.BufferedReader(_Stream(plain_bytes(sources)), 1 << 20))
    untar(stream, "plain", target, Digest(running.hexdigest()), limits)


def plain_bytes(sources: Sources) -> Iterator[bytes]:
    """All plain bytes of the layer, each part checked against the file list."""
    listed = {
        whole(entry["offset"], "offset"): entry for entry in sources.entries if "offset" in entry
    }
    rest = _Rest(sources.rest())
    position = 0
    for part in sources.parts:
        if part.artifact is None and part.source is None:
            yield from rest.take(part.size)
        else:
            piece = sources.find(part)
            _check(sources, part, piece, listed, position, rest.last)
            yield from _zeros(part.size) if piece is None else sources.pool.read(piece)
        position += part.size
    rest.end()


def _check(
    sources: Sources,
    part: Part,
    piece: Piece | None,
    listed: Mapping[int, Mapping[str, Any]],
    position: int,
    header: bytes,
) -> None:
    """Refuse a part that is not the file which the layer has at this place."""
    start = position - (PYC_HEADER if part.source is not None else 0)
    entry = listed.get(start)
    path = "/" + text(entry.get("path"), "file list path") if entry is not None else None
    shown = printable(path) if path is not None else f"byte {position}"
    if piece is None:
        if part.source is None:
            _mismatch(shown, sources.name(part), "does not have it")
        return
    expected = text(entry.get("sha256"), "file list sha256") if entry is not None else ""
    found = piece.sha256
    if part.source is not None:
        running = hashlib.sha256(header)
        for chunk in sources.pool.read(piece):
            running.update(chunk)
        found = running.hexdigest()
    if piece.size != part.size or found != expected:
        _mismatch(shown, sources.name(part), f"gives {found[:12]}… where {expected[:12]}… belongs")


def _mismatch(path: str, source: str, why: str) -> None:
    raise ArchiveError(
        f"{path} cannot be made again: {source} {why}",
        hint="ask for the whole archive, or for another copy of the thin one",
        slug="thin-mismatch",
    )


def _zeros(size: int) -> Iterator[bytes]:
    while size:
        piece = _ZEROS[:size]
        size -= len(piece)
        yield piece


class _Rest:
    """The rest from the front; ``last`` are the bytes taken last, as many as a pyc's header."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = Chunks(chunks)
        self.last = b""

    def take(self, count: int) -> Iterator[bytes]:
        while count:
            piece = bytes(self._chunks.some(count))
            if not piece:
                raise ArchiveError("the rest of a thin layer is too short", slug="thin-mismatch")
            count -= len(piece)
            self.last = (self.last + piece[-PYC_HEADER:])[-PYC_HEADER:]
            yield piece

    def end(self) -> None:
        if self._chunks.some():
            raise ArchiveError("the rest of a thin layer is too long", slug="thin-mismatch")


class _Stream(io.RawIOBase):
    """Chunks as a stream."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        super().__init__()
        self._chunks = Chunks(chunks)

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill ``buffer`` from the current chunk; 0 at the end."""
        view = memoryview(buffer)  # type: ignore[arg-type]
        piece = self._chunks.some(len(view))
        view[: len(piece)] = piece
        return len(piece)
