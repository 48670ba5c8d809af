"""Which layers of older versions are kept in pieces, and the cutting of them (folded.py).

Data layers are cut into zstd frames by content (primitives/cutpoints.py), so a table with one
changed row has all frames but one or two in common with the table before. Only compressed bytes
are compared and copied: what is put together again is the same blob to the last byte, whatever
zstd is installed then.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import zstandard

from repro.errors import ArchiveError
from repro.model.entry import LayerKind
from repro.model.oci import (
    ANNOTATION_TOC,
    FOLDED_PIECES,
    LAYER_ZSTD,
    TOC,
    Descriptor,
    Layer,
    mapping,
    sequence,
)
from repro.primitives.canonical import MAX_BYTES, load
from repro.primitives.digest import Digest
from repro.primitives.frozen import frozen
from repro.store.blobs import Blobs, Pieces, Place, Span, open_place, place_size
from repro.store.folded import MOST_BYTES, MOST_TIMES, Folded, FoldedBlob, FoldedVersion, Part
from repro.store.versions import Version

LEAST = 2_000_000
"""Layers below this many compressed bytes are not worth a version that others cannot read."""

_POOL = Digest("0" * 64)  # stands for the blob of pieces until its digest is known


@frozen
class Fold:
    """The document, the tags it is about, and the blob of pieces that no whole blob has."""

    document: Folded
    tags: frozenset[str]
    pool: Descriptor | None
    pool_place: Place | None


def plan_fold(
    versions: Sequence[Version],
    entries: Sequence[tuple[Descriptor, ...]],
    blobs: Blobs,
    scratch: BinaryIO,
) -> Fold | None:
    """What to keep in pieces of these versions; None when nothing is worth it.

    The last version stays whole: it is what ARCHIVE alone means. A data layer of another is
    folded when at least half of it is in the last version's data layers, or in layers folded
    before it (the newest goes first). ``entries`` are each version's for the index.
    ``scratch`` takes the pieces. The same arguments give the same fold.
    """
    bases = [layer for layer in versions[-1].layers if _is_data(layer)]
    chosen = _alike(_candidates(versions), bases, blobs)
    if not chosen:
        return None
    whole = {layer.descriptor.digest for version in versions for layer in version.layers}
    whole -= {each.digest for each in chosen}
    cut = _as_before(chosen, whole, blobs) or _cut(chosen, bases, blobs, scratch)
    if not all(_in_proportion(blob, cut, blobs) for blob in cut.blobs):
        return None
    folded = {blob.digest for blob in cut.blobs}
    numbers = [
        number
        for number, version in enumerate(versions)
        if any(layer.descriptor.digest in folded for layer in version.layers)
    ]
    document = Folded(
        versions=tuple(FoldedVersion(at=number, entries=entries[number]) for number in numbers),
        blobs=cut.blobs,
    )
    if len(document.to_bytes()) > MOST_BYTES:
        return None
    tags = frozenset(versions[number].tag for number in numbers)
    return Fold(document=document, tags=tags, pool=cut.pool, pool_place=cut.place)


@frozen
class _Framed:
    """A layer's blob and the lengths of its frames (bytes)."""

    digest: Digest
    frames: tuple[int, ...]


def _candidates(versions: Sequence[Version]) -> list[Layer]:
    """Data layers that the last version has not, the newest first, each once."""
    kept = {layer.descriptor.digest for layer in versions[-1].layers}
    found: dict[Digest, Layer] = {}
    for version in reversed(versions[:-1]):
        for layer in version.layers:
            if _is_data(layer) and layer.descriptor.digest not in kept:
                found.setdefault(layer.descriptor.digest, layer)
    return list(found.values())


def _is_data(layer: Layer) -> bool:
    return (
        layer.kind == LayerKind.DATA.value
        and layer.descriptor.media_type == LAYER_ZSTD
        and layer.descriptor.size >= LEAST
    )


def _alike(wanted: Sequence[Layer], bases: Sequence[Layer], blobs: Blobs) -> list[_Framed]:
    """Layers of which half or more seems to be known, by the lengths of their frames alone.

    Equal frames have equal lengths, others hardly ever: no layer is read for this.
    """
    if not wanted:
        return []
    known = Counter(length for base in bases for length in _frames(base, blobs))
    found = []
    for layer in wanted:
        frames = _frames(layer, blobs)
        lengths = Counter(frames)
        shared = sum(length * count for length, count in (lengths & known).items())
        if frames and shared * 2 >= layer.descriptor.size:
            found.append(_Framed(digest=layer.descriptor.digest, frames=frames))
            known |= lengths
    return found


def _frames(layer: Layer, blobs: Blobs) -> tuple[int, ...]:
    """The lengths of a layer's frames from its file list; none when that does not fit."""
    wanted = layer.descriptor.annotations.get(ANNOTATION_TOC)
    try:
        place = blobs.locate(Digest.parse(wanted or ""))
        if place is None:
            return ()
        with open_place(place) as stream:
            with zstandard.ZstdDecompressor(max_window_size=MAX_BYTES).stream_reader(
                stream
            ) as plain:
                document = mapping(load(plain.read(MAX_BYTES + 1), TOC), TOC)
        frames = tuple(int(each) for each in sequence(document.get("frames"), TOC))
    except (ArchiveError, zstandard.ZstdError, TypeError, ValueError):
        return ()  # of another program, or damaged: the layer stays whole
    fits = all(each > 0 for each in frames) and sum(frames) == layer.descriptor.size
    return frames if fits else ()


@frozen
class _Cut:
    blobs: tuple[FoldedBlob, ...]
    pool: Descriptor | None = None
    place: Place | None = None


def _as_before(chosen: Sequence[_Framed], whole: set[Digest], blobs: Blobs) -> _Cut | None:
    """The pieces as the archive that is written anew has them, when nothing changed for them."""
    wanted = {each.digest for each in chosen}
    found = []
    pools: set[Digest | None] = set()
    for each in chosen:
        place = blobs.locate(each.digest)
        if not isinstance(place, Pieces) or place.family != wanted:
            return None
        pools.add(place.pool)
        parts = tuple(
            Part(source=piece.source, offset=piece.offset, size=piece.span.size)
            for piece in place.pieces
        )
        if not {part.source for part in parts} <= whole | {place.pool}:
            return None
        found.append(FoldedBlob(digest=each.digest, parts=parts))
    if len(pools) != 1:
        return None
    (pool,) = pools
    if pool is None:
        return _Cut(blobs=tuple(found))
    where = blobs.locate(pool)
    if not isinstance(where, Span):
        return None
    return _Cut(blobs=tuple(found), pool=_described(pool, where.size), place=where)


def _cut(
    chosen: Sequence[_Framed], bases: Sequence[Layer], blobs: Blobs, scratch: BinaryIO
) -> _Cut:
    lengths = {length for each in chosen for length in each.frames}
    known: dict[bytes, Part] = {}
    for base in bases:
        framed = _Framed(digest=base.descriptor.digest, frames=_frames(base, blobs))
        for part, data in _read(framed, lengths, blobs):
            if data is not None:
                known.setdefault(hashlib.sha256(data).digest(), part)
    running, size = hashlib.sha256(), 0
    found = []
    for each in chosen:
        parts: list[Part] = []
        for _, data in _read(each, lengths, blobs):
            assert data is not None
            name = hashlib.sha256(data).digest()
            if name not in known:
                scratch.write(data)
                running.update(data)
                known[name] = Part(source=_POOL, offset=size, size=len(data))
                size += len(data)
            _append(parts, known[name])
        found.append(FoldedBlob(digest=each.digest, parts=tuple(parts)))
    if not size:
        return _Cut(blobs=tuple(found))
    scratch.flush()
    pool = Digest(running.hexdigest())
    named = (
        FoldedBlob(digest=blob.digest, parts=tuple(_named(part, pool) for part in blob.parts))
        for blob in found
    )
    place = Span(fd=scratch.fileno(), offset=0, size=size)
    return _Cut(blobs=tuple(named), pool=_described(pool, size), place=place)


def _read(framed: _Framed, lengths: set[int], blobs: Blobs) -> Iterator[tuple[Part, bytes | None]]:
    """Each frame with its place; without its bytes when nothing has a frame of this length."""
    place = blobs.locate(framed.digest)
    if place is None:
        raise ArchiveError(f"blob {framed.digest.short} is missing", slug="archive-format")
    offset = 0
    with open_place(place) as stream:
        for length in framed.frames:
            data = None
            if length in lengths:
                stream.seek(offset)
                data = stream.read(length)
                if len(data) != length:
                    raise ArchiveError(
                        f"blob {framed.digest.short} is cut off", slug="archive-truncated"
                    )
            yield Part(source=framed.digest, offset=offset, size=length), data
            offset += length


def _append(parts: list[Part], part: Part) -> None:
    """Add a part; one that goes on where the last ended makes that one longer."""
    last = parts[-1] if parts else None
    if last and last.source == part.source and last.offset + last.size == part.offset:
        parts[-1] = Part(source=last.source, offset=last.offset, size=last.size + part.size)
    else:
        parts.append(part)


def _named(part: Part, pool: Digest) -> Part:
    return Part(source=pool, offset=part.offset, size=part.size) if part.source == _POOL else part


def _described(pool: Digest, size: int) -> Descriptor:
    return Descriptor(media_type=FOLDED_PIECES, digest=pool, size=size)


def _in_proportion(blob: FoldedBlob, cut: _Cut, blobs: Blobs) -> bool:
    """Whether the reader will not take it for a bomb."""
    size = 0
    for source in {part.source for part in blob.parts}:
        place = cut.place if cut.pool is not None and source == cut.pool.digest else None
        place = place if place is not None else blobs.locate(source)
        size += place_size(place) if place is not None else 0
    return blob.size <= MOST_TIMES * size
