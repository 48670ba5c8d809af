"""Take out of a layer's plain bytes what lies elsewhere: the parts, and the rest that stays."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from repro.errors import ArchiveError
from repro.image.pieces import Piece
from repro.model.oci import LAYER_ZSTD, Descriptor, Layer, text, whole
from repro.model.thin import Part, recipe_json
from repro.model.thin_media import RECIPE, REST
from repro.primitives.canonical import dump
from repro.primitives.chunks import Chunks
from repro.primitives.digest import Digest
from repro.primitives.files import atomic_write
from repro.primitives.frames import FRAME, FrameWriter, decompressed
from repro.primitives.frozen import frozen
from repro.primitives.pipes import SideHash, ahead
from repro.primitives.texts import printable

PYC_HEADER = 16
"""Magic, flags and the source's time and size, or its hash (PEP 552): stays in the rest."""
LEVELS = (3, 10, 19)
"""What layers are compressed with: the default, ``--small``, and what others may choose."""
LEAST = 100
"""Smaller files stay: naming them takes as much as keeping them."""
_PYC_LIMIT = 64 << 20
_HARD = 19


@frozen
class Compiled:
    """Bytecode made again from ``source`` by program number ``program``: ``piece`` without header."""

    source: str
    optimize: int
    program: int
    piece: Piece


@frozen
class ThinnedLayer:
    """What was made of a layer: its parts, the blob of its rest, bytes that lie elsewhere."""

    parts: tuple[Part, ...]
    rest: Descriptor
    taken: int
    compiled: int


@frozen
class Elsewhere:
    """Where files lie: ``members`` by sha256 (artifact number, member), ``bytecode`` by path."""

    members: Mapping[str, tuple[int, str]]
    bytecode: Mapping[str, Compiled]


def thin_layer(
    blob: BinaryIO,
    layer: Layer,
    entries: Sequence[Mapping[str, Any]],
    elsewhere: Elsewhere,
    blobs: Path,
) -> ThinnedLayer:
    """Read a layer, write what stays of it into the folder ``blobs`` as ``<hex>``.

    ``entries`` is its file list. Raises ArchiveError when the layer is not what its diff_id
    and its file list say.
    """
    plain = SideHash()
    temporary = blobs / f".rest-{layer.diff_id.hex}"
    chunks = ahead(_hashed(decompressed(blob, "zstd"), plain))
    try:
        with temporary.open("wb") as out, FrameWriter(out, level=_HARD) as rest:
            cut = _Cut(chunks, rest)
            for entry in entries:
                _entry(cut, entry, elsewhere)
            cut.keep_all()
            digest, _ = rest.finish()
        temporary.replace(blobs / digest.hex)
    finally:
        chunks.close()
        found = plain.finish()
        temporary.unlink(missing_ok=True)
    if found != layer.diff_id:
        raise ArchiveError(
            "a layer's unpacked bytes do not match its diff_id",
            details=[f"expected {layer.diff_id}, found {found}"],
            slug="archive-digest",
        )
    parts = tuple(cut.parts)
    return ThinnedLayer(
        parts=parts,
        rest=Descriptor(media_type=REST, digest=digest, size=rest.size),
        taken=sum(part.size for part in parts if part.artifact is not None),
        compiled=sum(part.size for part in parts if part.source is not None),
    )


def write_recipe(diff_id: Digest, parts: Sequence[Part], blobs: Path) -> Descriptor:
    """Write the recipe of a layer into the folder ``blobs`` as ``<hex>``. Raises OSError."""
    plain = dump(recipe_json(diff_id, tuple(parts)))
    data = zstandard.ZstdCompressor(level=_HARD, write_checksum=True).compress(plain)
    found = Descriptor(media_type=RECIPE, digest=Digest.of(data), size=len(data))
    with atomic_write(blobs / found.digest.hex) as out:
        out.write(data)
    return found


def level_of(blob: BinaryIO) -> int | None:
    """The level that gives a zstd layer's first frame again; None when no known one does."""
    head = blob.read(zstandard.frame_header_size(b"\x28\xb5\x2f\xfd" + bytes(14)) + FRAME * 2)
    try:
        unpacker = zstandard.ZstdDecompressor().decompressobj()
        first = unpacker.decompress(head)
    except zstandard.ZstdError:
        return None
    packed = head[: len(head) - len(unpacker.unused_data)]
    for level in LEVELS:
        tool = zstandard.ZstdCompressor(level=level, write_checksum=True)
        if tool.compress(first) == packed:
            return level
    return None


class _Cut:
    """The plain bytes from the front: each is kept in the rest, or left out."""

    def __init__(self, chunks: Iterator[bytes], rest: FrameWriter) -> None:
        self._chunks = Chunks(chunks)
        self._rest = rest
        self._kept = 0
        self._parts: list[Part] = []
        self.position = 0

    @property
    def parts(self) -> list[Part]:
        """The parts so far."""
        tail = [Part(size=self._kept)] if self._kept else []
        return [*self._parts, *tail]

    def keep(self, count: int) -> None:
        """The next bytes go into the rest."""
        for piece in self.take(count):
            self.put(bytes(piece))

    def put(self, data: bytes) -> None:
        """Bytes that were taken go into the rest."""
        self._rest.write(data)
        self._kept += len(data)

    def keep_all(self) -> None:
        """Everything that is left goes into the rest."""
        while piece := self._chunks.some():
            self.put(bytes(piece))
            self.position += len(piece)

    def leave(self, part: Part) -> None:
        """Bytes that were taken lie elsewhere."""
        if self._kept:
            self._parts.append(Part(size=self._kept))
            self._kept = 0
        self._parts.append(part)

    def take(self, count: int) -> Iterator[memoryview]:
        """The next bytes, all of which have to be taken."""
        while count:
            piece = self._chunks.some(count)
            if not piece:
                raise ArchiveError("a layer ends early", slug="archive-truncated")
            self.position += len(piece)
            count -= len(piece)
            yield piece


def _entry(cut: _Cut, entry: Mapping[str, Any], elsewhere: Elsewhere) -> None:
    """Leave a file out when it lies elsewhere."""
    if "sha256" not in entry:
        return
    path = "/" + text(entry.get("path"), "file list path")
    digest = text(entry["sha256"], "file list sha256")
    size, offset = whole(entry.get("size"), "size"), whole(entry.get("offset"), "offset")
    member = elsewhere.members.get(digest) if size >= LEAST else None
    compiled = elsewhere.bytecode.get(path)
    if member is None and compiled is None:
        return
    if offset < cut.position:
        raise ArchiveError("a file list is out of order", slug="archive-format")
    cut.keep(offset - cut.position)
    if member is not None:
        _leave_member(cut, path, size, digest, member)
    elif compiled is not None and PYC_HEADER < size <= _PYC_LIMIT:
        _leave_bytecode(cut, size, compiled)


def _leave_member(cut: _Cut, path: str, size: int, digest: str, member: tuple[int, str]) -> None:
    running = hashlib.sha256()
    for piece in cut.take(size):
        running.update(piece)
    if running.hexdigest() != digest:
        raise ArchiveError(
            f"{printable(path)} is not what the file list says", slug="archive-digest"
        )
    cut.leave(Part(size=size, artifact=member[0], member=member[1]))


def _leave_bytecode(cut: _Cut, size: int, compiled: Compiled) -> None:
    cut.keep(PYC_HEADER)
    body = b"".join(cut.take(size - PYC_HEADER))
    if hashlib.sha256(body).hexdigest() != compiled.piece.sha256:
        cut.put(body)  # compiled otherwise by the installer
        return
    part = Part(
        size=len(body),
        source=compiled.source,
        optimize=compiled.optimize,
        program=compiled.program,
    )
    cut.leave(part)


def _hashed(chunks: Iterator[bytes], plain: SideHash) -> Iterator[bytes]:
    for chunk in chunks:
        plain.update(chunk)
        yield chunk


def can_be_thin(layer: Layer) -> bool:
    """Whether a layer is in the one form that is taken apart."""
    return layer.descriptor.media_type == LAYER_ZSTD
