"""Write the one file: an uncompressed ustar that is an OCI image layout (archive.md)."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from repro.errors import ArchiveError, StorageError, UsageError
from repro.model.oci import (
    CONFIG,
    EMPTY,
    EMPTY_BYTES,
    FOLDED,
    MANIFEST,
    REF_NAME,
    RESULTS,
    SBOM,
    TAG,
    TOC,
    Descriptor,
    ImageConfig,
    Manifest,
)
from repro.model.thin_media import RECIPE, REST
from repro.primitives import tarformat
from repro.primitives.canonical import load
from repro.primitives.digest import Digest
from repro.primitives.events import Event, EventKind, Observer, silent
from repro.primitives.files import atomic_write
from repro.primitives.frozen import frozen
from repro.primitives.tarformat import BLOCK, Header, padding
from repro.primitives.texts import printable
from repro.store import documents
from repro.store.blobs import Blobs, BlobSource, Place, Span, open_place, place_size
from repro.store.folding import Fold, plan_fold
from repro.store.versions import Artifact, Version

_KIND_ORDER = ("code", "packages", "runtime", "system", "base", "data")
_PIECE = 8 << 20
_FOLDED_NOTE = "\nFOLDED VERSIONS\n"
_FOLDED_TEXT = """These older versions share most of a large data layer with a newer one. What they share
is kept once, so other programs see them neither in index.json nor in manifest.json:
@TAGS@
  repro verify FILE:TAG                          reads them as any other
  repro export FILE:TAG --oci-dir DIR            writes one whole, for any program
  repro rollback FILE:TAG                        makes it the one that is kept whole
Without repro: index.json ends with the artifact application/vnd.repro.folded.v1+json. Its
first layer is a JSON document: "versions" holds their entries of index.json, and for each of
"blobs" the "pieces" [number in "sources", offset, size] that make it, one behind the other:
  tail -c +$((OFFSET+1)) blobs/sha256/SOURCE | head -c SIZE >>blobs/sha256/DIGEST
"""
_NO_COPY = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EIO)


@frozen
class _Document:
    """A version's manifests: descriptors for the index, and the image manifest."""

    descriptors: tuple[Descriptor, ...]
    manifest: Manifest


def write_archive(
    path: Path,
    *,
    name: str,
    versions: Sequence[Version],
    blobs: BlobSource,
    readme: str,
    clamp: int,
    observer: Observer = silent,
) -> None:
    """Write an archive and put it in the place of ``path`` in one step.

    ``versions`` in the order of adding; the last is the default one. ``blobs`` knows
    every layer and artifact blob. ``clamp`` is the time of all members (seconds). The
    same arguments give the same bytes. Raises UsageError on a bad or doubled tag,
    ArchiveError when a blob is missing or has another size, StorageError when the disk
    refuses; what stood at ``path`` is untouched then. Large data layers of versions before
    the last are kept in pieces where that saves most of them (folding.py).
    """
    _check_tags(versions)
    try:
        with _planned(path.parent, name, versions, blobs, readme) as plan:
            with atomic_write(path) as out:
                _write(out, plan, clamp, observer)
    except OSError as error:
        raise StorageError(
            f"{printable(str(path))} cannot be written: {error.strerror}",
            hint="free some space, or write it elsewhere with -o FILE",
        ) from None


def archive_size(
    folder: Path, *, name: str, versions: Sequence[Version], blobs: BlobSource, readme: str
) -> int:
    """The bytes that ``write_archive`` would write; ``folder`` takes its scratch file."""
    with _planned(folder, name, versions, blobs, readme) as plan:
        head = sum(BLOCK + len(data) + padding(len(data)) for _, data in plan.head)
        body = sum(BLOCK + size + padding(size) for size in plan.order.values())
        return head + len(documents.FOLDERS) * BLOCK + body + len(tarformat.END)


@frozen
class _Plan:
    """The head's members, the blobs in their order with sizes, and where all of them are."""

    head: tuple[tuple[str, bytes], ...]
    order: Mapping[Digest, int]
    blobs: BlobSource


@contextlib.contextmanager
def _planned(
    folder: Path, name: str, versions: Sequence[Version], blobs: BlobSource, readme: str
) -> Iterator[_Plan]:
    """What is to be written; good until the context is left."""
    made = Blobs(others=[blobs])
    found = [_documents(version, made) for version in versions]
    with tempfile.TemporaryFile(dir=folder, prefix=".repro-pieces-") as scratch:
        entries = [document.descriptors for document in found]
        fold = plan_fold(versions, entries, made, scratch) if len(versions) > 1 else None
        order = _order(versions, found)
        readme = readme.partition(_FOLDED_NOTE)[0]
        if fold is None:
            head = _head(name, versions, found, readme)
        else:
            folded = _folded(fold, found[-1].descriptors[0], made)
            order = _folded_order(order, fold, folded)
            kept = [n for n, version in enumerate(versions) if version.tag not in fold.tags]
            head = _head(
                name, [versions[n] for n in kept], [found[n] for n in kept],
                f"{readme}{_FOLDED_NOTE}{_note(versions, fold)}", folded[0],
            )  # fmt: skip
            made = Blobs(others=[made, _Pool(fold)])
        yield _Plan(head=tuple(head), order=order, blobs=made)


class _Pool:
    """The blob of pieces, for the writer."""

    def __init__(self, fold: Fold) -> None:
        self._fold = fold

    def locate(self, digest: Digest) -> Place | None:
        pool = self._fold.pool
        return self._fold.pool_place if pool is not None and pool.digest == digest else None


def _folded(fold: Fold, image: Descriptor, made: Blobs) -> list[Descriptor]:
    """The artifact of folded versions, its document and its pieces."""
    blobs = [made.describe(fold.document.to_bytes(), FOLDED)]
    blobs += [fold.pool] if fold.pool is not None else []
    artifact = Artifact(artifact_type=FOLDED, blobs=tuple(blobs))
    return [_artifact(artifact, image, made), *blobs]


def _folded_order(
    order: Mapping[Digest, int], fold: Fold, folded: Sequence[Descriptor]
) -> dict[Digest, int]:
    gone = {blob.digest for blob in fold.document.blobs}
    empty = Descriptor(media_type=EMPTY, digest=Digest.of(EMPTY_BYTES), size=len(EMPTY_BYTES))
    first = {each.digest: each.size for each in (*folded[:2], empty)}
    rest = {digest: size for digest, size in order.items() if digest not in gone}
    return {**first, **rest, **{each.digest: each.size for each in folded[2:]}}


def _note(versions: Sequence[Version], fold: Fold) -> str:
    tags = "\n".join(f"  {version.tag}" for version in versions if version.tag in fold.tags)
    return _FOLDED_TEXT.replace("@TAGS@", tags)


def manifest_digests(version: Version) -> list[Digest]:
    """The digests of a version's manifests as ``write_archive`` writes them, the image first."""
    return [each.digest for each in _documents(version, Blobs()).descriptors]


def _check_tags(versions: Sequence[Version]) -> None:
    seen = set()
    for version in versions:
        if not TAG.fullmatch(version.tag):
            raise UsageError(
                f"'{printable(version.tag, 140)}' is no valid tag",
                hint="letters, digits, . _ and -, at most 128",
            )
        if version.tag in seen:
            raise UsageError(f"the version {version.tag!r} is there already")
        seen.add(version.tag)


def _documents(version: Version, made: Blobs) -> _Document:
    manifest = Manifest(
        config=made.describe(version.config, CONFIG),
        layers=tuple(layer.descriptor for layer in version.layers),
    )
    image = made.describe(manifest.to_bytes(), MANIFEST)
    config = ImageConfig.parse(load(version.config, "image config"))
    listed = [
        Descriptor(
            media_type=MANIFEST,
            digest=image.digest,
            size=image.size,
            annotations={REF_NAME: version.tag},
            platform={"architecture": config.architecture, "os": "linux"},
        )
    ]
    for artifact in version.artifacts:
        listed.append(_artifact(artifact, image, made))
    return _Document(descriptors=tuple(listed), manifest=manifest)


def _artifact(artifact: Artifact, image: Descriptor, made: Blobs) -> Descriptor:
    manifest = Manifest(
        config=made.describe(EMPTY_BYTES, EMPTY),
        layers=artifact.blobs,
        artifact_type=artifact.artifact_type,
        subject=image,
    )
    data = manifest.to_bytes()
    return Descriptor(
        media_type=MANIFEST,
        digest=made.put_bytes(data),
        size=len(data),
        artifact_type=artifact.artifact_type,
    )


def _head(
    name: str,
    versions: Sequence[Version],
    made: Sequence[_Document],
    readme: str,
    folded: Descriptor | None = None,
) -> list[tuple[str, bytes]]:
    descriptors = [each for document in made for each in document.descriptors]
    descriptors += [folded] if folded is not None else []
    tagged = [
        documents.tagged(version.tag, document.manifest)
        for version, document in zip(versions, made, strict=True)
    ]
    contents = [
        (documents.OCI_LAYOUT, documents.LAYOUT),
        (documents.INDEX_JSON, documents.index_json(descriptors)),
        (documents.MANIFEST_JSON, documents.manifest_json(name, tagged)),
        (documents.README, readme.encode("utf-8", "backslashreplace")),
    ]
    return [*contents, (documents.SUMS, documents.sums(contents))]


def _order(versions: Sequence[Version], made: Sequence[_Document]) -> dict[Digest, int]:
    """Blobs with their sizes in the order of the file: what inspect reads comes first."""
    small: list[Descriptor] = []
    for document in made:
        small += [*document.descriptors, document.manifest.config]
    parts = [blob for v in versions for artifact in v.artifacts for blob in artifact.blobs]
    late = (SBOM, TOC, RESULTS, RECIPE, REST)
    small += [blob for blob in parts if blob.media_type not in late]
    if any(version.artifacts for version in versions):
        empty = Descriptor(media_type=EMPTY, digest=Digest.of(EMPTY_BYTES), size=len(EMPTY_BYTES))
        small.append(empty)
    for media_type in late:
        small += [blob for blob in parts if blob.media_type == media_type]
    layers = [
        layer
        for version in versions
        for layer in version.layers
        if layer.descriptor.digest not in version.absent
    ]
    layers.sort(key=lambda layer: _rank(layer.kind))
    ordered = [*small, *(layer.descriptor for layer in layers)]
    return {descriptor.digest: descriptor.size for descriptor in ordered}


def _rank(kind: str) -> int:
    return _KIND_ORDER.index(kind) if kind in _KIND_ORDER else len(_KIND_ORDER)


def _write(out: BinaryIO, plan: _Plan, clamp: int, observer: Observer) -> None:
    for name, data in plan.head:
        out.write(tarformat.render(Header(name.encode(), size=len(data), mtime=clamp)))
        out.write(data + bytes(padding(len(data))))
    for name in documents.FOLDERS:
        out.write(tarformat.render(Header(name.encode(), tarformat.FOLDER, 0, 0o755, clamp)))
    total, done = sum(plan.order.values()), 0
    for digest, size in plan.order.items():
        place = plan.blobs.locate(digest)
        if place is None or place_size(place) != size:
            what = "is missing" if place is None else "has another size than its descriptor says"
            raise ArchiveError(f"blob {digest.short} {what}", slug="archive-format")
        member = documents.blob_name(digest).encode()
        out.write(tarformat.render(Header(member, size=size, mtime=clamp)))
        _copy(place, size, out)
        out.write(bytes(padding(size)))
        done += size
        observer(Event(kind=EventKind.PROGRESS, phase="write", done=done, total=total))
    out.write(tarformat.END)


def _copy(place: Place, size: int, out: BinaryIO) -> None:
    if isinstance(place, bytes):
        out.write(place)
        return
    copied = 0
    if isinstance(place, Span):
        copied = _clone(place.fd, place.offset, size, out)
    elif isinstance(place, Path):
        with place.open("rb") as stream:
            copied = _clone(stream.fileno(), 0, size, out)
    if copied < size:
        with open_place(place) as stream:
            stream.seek(copied)
            shutil.copyfileobj(stream, out, _PIECE)


def _clone(fd: int, offset: int, size: int, out: BinaryIO) -> int:
    """copy_file_range(2) as far as it goes; the bytes copied. The rest is for others."""
    out.flush()
    copied = 0
    while copied < size:
        try:
            step = os.copy_file_range(
                fd, out.fileno(), min(size - copied, 1 << 30), offset + copied
            )
        except OSError as error:
            if error.errno in _NO_COPY:
                break
            raise
        if step == 0:
            break
        copied += step
    out.seek(0, os.SEEK_END)  # the buffered stream learns how far the descriptor went
    return copied
