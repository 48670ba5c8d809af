"""Layers kept in pieces: what an older version's layer has in common with a newer one is kept once.

The document of the artifact FOLDED names the pieces. No other tool can put them together, so a
version that needs one is not in index.json but here; its manifests, config and digests are what
they always were (docs/decisions/0008).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from repro.errors import ArchiveError
from repro.model.oci import (
    EMPTY,
    FOLDED,
    FOLDED_PIECES,
    REF_NAME,
    Descriptor,
    Manifest,
    mapping,
    sequence,
    text,
    whole,
)
from repro.primitives.canonical import dump, load
from repro.primitives.digest import Digest
from repro.primitives.frozen import frozen, replace
from repro.store.blobs import Piece, Pieces, Span

SCHEMA = "repro.folded/1"
MOST_BYTES = 4 << 20
"""Of the document, as for any other that is read when an archive is opened."""
MOST_TIMES = 50
"""A blob is at most so many times larger than what it is made of (no bombs)."""


@frozen
class Part:
    """``size`` bytes of the blob ``source`` from ``offset``."""

    source: Digest
    offset: int
    size: int


@frozen
class FoldedBlob:
    """A blob as its parts, in order."""

    digest: Digest
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return sum(part.size for part in self.parts)


@frozen
class FoldedVersion:
    """A version's entries of the index, the image first; ``at`` is its place among all versions."""

    at: int
    entries: tuple[Descriptor, ...]


@frozen
class Folded:
    """The document ``repro.folded/1``."""

    versions: tuple[FoldedVersion, ...]
    blobs: tuple[FoldedBlob, ...]

    def to_bytes(self) -> bytes:
        """The one form that is written and accepted."""
        sources = sorted({part.source for blob in self.blobs for part in blob.parts})
        number = {source: at for at, source in enumerate(sources)}
        return dump(
            {
                "schema": SCHEMA,
                "versions": [
                    {"at": each.at, "manifests": [entry.to_json() for entry in each.entries]}
                    for each in self.versions
                ],
                "sources": [str(source) for source in sources],
                "blobs": [
                    {
                        "digest": str(blob.digest),
                        "pieces": [[number[p.source], p.offset, p.size] for p in blob.parts],
                    }
                    for blob in self.blobs
                ],
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Folded:
        """Raises ArchiveError on anything that ``to_bytes`` never writes."""
        document = mapping(load(data, _NAME), _NAME)
        if document.get("schema") != SCHEMA:
            raise ArchiveError(
                "the archive holds folded versions in a form that this repro does not read",
                hint="install a newer repro",
                slug="archive-schema",
            )
        listed = sequence(document.get("sources"), _NAME)
        sources = [Digest.parse(text(each, _NAME)) for each in listed]
        found = cls(
            versions=tuple(_version(v) for v in sequence(document.get("versions"), _NAME)),
            blobs=tuple(_blob(v, sources) for v in sequence(document.get("blobs"), _NAME)),
        )
        if found.to_bytes() != data:
            _refuse("has something that is not accepted")
        return found


_NAME = "the list of folded versions"


def _version(value: Any) -> FoldedVersion:
    fields = mapping(value, _NAME)
    listed = sequence(fields.get("manifests"), _NAME)
    entries = tuple(Descriptor.parse(each, _NAME) for each in listed)
    if [entry.artifact_type is None for entry in entries] != [True] + [False] * (len(entries) - 1):
        _refuse("has a version that is not one image with its artifacts")
    return FoldedVersion(at=whole(fields.get("at"), _NAME), entries=entries)


def _blob(value: Any, sources: Sequence[Digest]) -> FoldedBlob:
    fields = mapping(value, _NAME)
    parts = []
    for each in sequence(fields.get("pieces"), _NAME):
        numbers = [whole(number, _NAME) for number in sequence(each, _NAME)]
        if len(numbers) != 3 or numbers[0] >= len(sources) or not numbers[2]:
            _refuse("has a piece that is none")
        parts.append(Part(source=sources[numbers[0]], offset=numbers[1], size=numbers[2]))
    return FoldedBlob(digest=Digest.parse(text(fields.get("digest"), _NAME)), parts=tuple(parts))


class Folding:
    """What an archive has folded. ``descriptors`` are the blobs that this itself needs."""

    def __init__(
        self, document: Folded, descriptors: Sequence[Descriptor], pool: Descriptor | None
    ) -> None:
        self.document = document
        self.descriptors = tuple(descriptors)
        self._pool = pool.digest if pool is not None else None
        self._blobs: dict[Digest, Pieces] = {}

    @classmethod
    def read(
        cls, index: Sequence[Descriptor], read: Callable[[Descriptor, str], bytes]
    ) -> tuple[Folding, list[Descriptor]]:
        """From an index, its folded versions put in their places. Raises ArchiveError.

        ``read`` gives verified bytes; the text says of what.
        """
        if not index or index[-1].artifact_type != FOLDED:
            return cls(Folded(versions=(), blobs=()), (), None), list(index)
        what = "the manifest of folded versions"
        manifest = Manifest.parse(load(read(index[-1], what), what))
        kinds = [layer.media_type for layer in manifest.layers]
        if kinds not in ([FOLDED], [FOLDED, FOLDED_PIECES]) or manifest.config.media_type != EMPTY:
            _refuse("has another form than repro gives it")
        images = [each for each in index if each.artifact_type is None]
        subject = manifest.subject
        if not images or subject is None or subject.digest != images[-1].digest:
            _refuse("belongs to another version than the last")
        document = Folded.parse(read(manifest.layers[0], _NAME))
        pool = manifest.layers[1] if len(manifest.layers) > 1 else None
        found = cls(document, (index[-1], manifest.config, *manifest.layers), pool)
        return found, _merged(index[:-1], document.versions)

    def attach(self, spans: Mapping[Digest, Span]) -> None:
        """Check the pieces against the blobs that the file holds. Raises ArchiveError."""
        family = frozenset(blob.digest for blob in self.document.blobs)
        if len(family) != len(self.document.blobs):
            _refuse("names a blob twice")
        for blob in self.document.blobs:
            if blob.digest in spans:
                _refuse("names a blob that is there whole")
            pieces = tuple(_piece(part, spans) for part in blob.parts)
            sources = {part.source for part in blob.parts}
            if blob.size > MOST_TIMES * sum(spans[each].size for each in sources):
                _refuse("has a blob that is far larger than what it is made of")
            self._blobs[blob.digest] = Pieces(pieces=pieces, family=family, pool=self._pool)

    @property
    def tags(self) -> frozenset[str]:
        """The tags of the versions that only repro can read."""
        return frozenset(
            each.entries[0].annotations.get(REF_NAME, "") for each in self.document.versions
        )

    def locate(self, digest: Digest) -> Pieces | None:
        """Where a folded blob is; None for any other."""
        return self._blobs.get(digest)

    def blobs(self) -> Iterable[Digest]:
        """The blobs that are in pieces."""
        return self._blobs.keys()

    def own_bytes(self) -> dict[Digest, int]:
        """For each folded blob the bytes of the file that no whole blob has."""
        return {
            blob.digest: sum(
                part.size for part in {*blob.parts} if part.source == self._pool
            )
            for blob in self.document.blobs
        }  # fmt: skip


def _piece(part: Part, spans: Mapping[Digest, Span]) -> Piece:
    source = spans.get(part.source)
    if source is None or part.offset + part.size > source.size:
        _refuse("names bytes that are not there")
    span = replace(source, offset=source.offset + part.offset, size=part.size)
    return Piece(source=part.source, offset=part.offset, span=span)


def _merged(index: Sequence[Descriptor], versions: Sequence[FoldedVersion]) -> list[Descriptor]:
    groups: list[list[Descriptor]] = []
    for each in index:
        if each.artifact_type is None:
            groups.append([each])
        elif groups:
            groups[-1].append(each)
        else:
            _refuse("stands in an index that begins with an artifact")
    before = -1
    for version in versions:
        # The last version is never folded, so each has its place before another.
        if not before < version.at < len(groups):
            _refuse("gives a version a place that is none")
        before = version.at
        groups.insert(version.at, list(version.entries))
    return [each for group in groups for each in group]


def _refuse(message: str) -> NoReturn:
    raise ArchiveError(f"{_NAME} {message}", slug="archive-format")
