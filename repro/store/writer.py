"""Write the one file: an uncompressed ustar that is an OCI image layout (archive.md)."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from repro.errors import ArchiveError, StorageError, UsageError
from repro.model.oci import (
    CONFIG,
    EMPTY,
    EMPTY_BYTES,
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
from repro.model.thin import RECIPE, REST
from repro.primitives import tarformat
from repro.primitives.canonical import load
from repro.primitives.digest import Digest
from repro.primitives.events import Event, EventKind, Observer, silent
from repro.primitives.files import atomic_write
from repro.primitives.frozen import frozen
from repro.primitives.tarformat import Header, padding
from repro.primitives.texts import printable
from repro.store import documents
from repro.store.blobs import Blobs, BlobSource, Span, open_place, place_size
from repro.store.versions import Artifact, Version

_KIND_ORDER = ("code", "packages", "runtime", "system", "base", "data")
_PIECE = 8 << 20
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
    refuses; what stood at ``path`` is untouched then.
    """
    _check_tags(versions)
    made = Blobs(others=[blobs])
    documents_of = [_documents(version, made) for version in versions]
    head = _head(name, versions, documents_of, readme)
    order = _order(versions, documents_of)
    try:
        with atomic_write(path) as out:
            _write(out, head, order, made, clamp, observer)
    except OSError as error:
        raise StorageError(
            f"{printable(str(path))} cannot be written: {error.strerror}",
            hint="free some space, or write it elsewhere with -o FILE",
        ) from None


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
    name: str, versions: Sequence[Version], made: Sequence[_Document], readme: str
) -> list[tuple[str, bytes]]:
    descriptors = [each for document in made for each in document.descriptors]
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


def _write(
    out: BinaryIO,
    head: Sequence[tuple[str, bytes]],
    order: dict[Digest, int],
    blobs: BlobSource,
    clamp: int,
    observer: Observer,
) -> None:
    for name, data in head:
        out.write(tarformat.render(Header(name.encode(), size=len(data), mtime=clamp)))
        out.write(data + bytes(padding(len(data))))
    for name in documents.FOLDERS:
        out.write(tarformat.render(Header(name.encode(), tarformat.FOLDER, 0, 0o755, clamp)))
    total, done = sum(order.values()), 0
    for digest, size in order.items():
        place = blobs.locate(digest)
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


def _copy(place: bytes | Path | Span, size: int, out: BinaryIO) -> None:
    if isinstance(place, bytes):
        out.write(place)
        return
    copied = 0
    if isinstance(place, Span):
        copied = _clone(place.fd, place.offset, size, out)
    else:
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
