"""``repro extract --file``: one file out of its layer; only its frames are read."""

from __future__ import annotations

import contextlib
import hashlib
import posixpath
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from repro.errors import ArchiveError, RemoteError, StorageError, UsageError
from repro.model.oci import CLAIMS, LABEL_CLAIMS, RECORDING, Layer
from repro.model.recording import Claims
from repro.primitives.canonical import load
from repro.primitives.digest import Digest
from repro.primitives.events import Observer, silent
from repro.primitives.files import atomic_write
from repro.primitives.framed import FrameMap
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable
from repro.remote.reference import Reference
from repro.remote.registry import Registry
from repro.remote.session import read_limited
from repro.store.archive import Archive
from repro.store.blobs import open_place
from repro.store.catalog import VersionInfo, layer_list
from repro.store.contents import Contents, Place
from repro.store.filelist import FileList, read_file_list
from repro.store.omitted import refuse_thin
from repro.workflows.names import local_archive
from repro.workflows.registries import open_registry

_PIECE = 1 << 20
_MOST_REQUESTS = 64
_PARTIAL = 206


@frozen
class ExtractedFile:
    """One file: ``path`` inside the image (links resolved), or of a recorded result.

    ``how`` says what was read to get it.
    """

    path: str
    size: int
    sha256: str
    layer: str
    how: str

    def to_json(self) -> dict[str, Any]:
        """The document ``repro.extract-file/1``."""
        return {
            "schema": "repro.extract-file/1", "path": self.path, "size": self.size,
            "sha256": self.sha256, "layer": self.layer, "how": self.how,
            "checked": "against the sha256 in the file list",
        }  # fmt: skip


class _Whole(Exception):
    """A registry cannot give parts: the version has to be pulled."""


class _Source(Protocol):
    """A version's file lists and the bytes of its layers."""

    version: VersionInfo

    def file_list(self, version: VersionInfo, diff_id: Digest) -> list[Mapping[str, Any]]: ...

    def listed(self, layer: Layer) -> FileList: ...

    def read(self, layer: Layer, offset: int, size: int) -> bytes: ...


def extract_file(
    source: str,
    name: str,
    target: Path | BinaryIO,
    environ: Mapping[str, str],
    *,
    insecure: bool = False,
    observer: Observer = silent,
) -> ExtractedFile:
    """Write one file of the image, or a recorded result, to a path or a stream.

    ``name`` is absolute, or relative to the project folder. ``source`` is ARCHIVE, ARCHIVE:TAG
    or oci://…; of a registry only the frames are fetched where it gives parts. Nothing is
    written before the digest is right. Raises UsageError, ArchiveError, NotWhole, RemoteError,
    StorageError.
    """
    if source.startswith("oci://"):
        with contextlib.suppress(_Whole):
            registry = _OfRegistry(Reference.parse(source), environ, insecure)
            if _relative(registry.version, name) in registry.outputs():
                raise _Whole
            return _from_layers(registry, name, target, "byte ranges of the registry's blob")
    path, tag = local_archive(source, environ, insecure=insecure, observer=observer)
    how = "the pulled blob" if source.startswith("oci://") else "the frames of its layer"
    with Archive.open(path, thin=True) as archive:
        version = archive.version(tag)
        recording = archive.recording(version)
        relative = _relative(version, name)
        if relative in {output.path for output in recording.claims.outputs}:
            return _result(archive, version, relative, target)
        return _from_layers(_OfArchive(archive, version, path), name, target, how)


def _absolute(version: VersionInfo, name: str) -> str:
    return posixpath.normpath(posixpath.join(version.config.working_dir, name)).replace("//", "/")


def _relative(version: VersionInfo, name: str) -> str:
    return posixpath.relpath(_absolute(version, name), version.config.working_dir)


def _from_layers(source: _Source, name: str, target: Path | BinaryIO, how: str) -> ExtractedFile:
    asked = _absolute(source.version, name)
    contents = Contents(source, source.version)
    real, _ = contents.real(asked)
    places = contents.at(real)
    if not places:
        raise UsageError(
            f"there is no file {printable(asked)} in the image",
            hint="`repro inspect ARCHIVE --file PATH` says whether it was left out, and why",
            slug="no-file",
        )
    if places[0].type not in ("file", "hardlink"):
        raise UsageError(f"{printable(real)} is a {places[0].type}, not a file")
    place = contents.bytes_of(places[0])
    _write(target, _pieces(source, place), place.digest, place.size, real)
    return ExtractedFile(
        path=real,
        size=place.size,
        sha256=place.digest.hex if place.digest else "",
        layer=place.layer.kind,
        how=how,
    )


def _pieces(source: _Source, place: Place) -> Iterator[bytes]:
    listed = source.listed(place.layer)
    name = place.path.lstrip("/")
    entry = next(each for each in listed.entries if each.get("path") == name and "offset" in each)
    frames = FrameMap(
        listed.frames,
        place.layer.uncompressed_size,
        lambda offset, size: source.read(place.layer, offset, size),
    )
    return frames.plain_range(int(entry["offset"]), place.size)


def _result(
    archive: Archive, version: VersionInfo, path: str, target: Path | BinaryIO
) -> ExtractedFile:
    """A recorded output, which no layer holds."""
    output = archive.results(version)[path]
    if output.link:
        raise UsageError(f"{printable(path)} is a recorded link, not a file")
    with output.open() as stream:
        pieces = iter(lambda: stream.read(_PIECE), b"")
        _write(target, pieces, output.digest, output.size, path)
    return ExtractedFile(
        path=path, size=output.size, sha256=output.digest.hex, layer="results",
        how="the recorded results",
    )  # fmt: skip


def _write(
    target: Path | BinaryIO, pieces: Iterator[bytes], digest: Digest | None, size: int, name: str
) -> None:
    """Write when the digest is right; raises before anything is to be seen otherwise."""
    try:
        if isinstance(target, Path):
            if target.is_dir():
                raise UsageError(f"{printable(str(target))} is a folder", hint="name a file")
            with atomic_write(target) as out:
                _copy(pieces, out, digest, size, name)
            return
        with tempfile.TemporaryFile() as spool:
            _copy(pieces, spool, digest, size, name)
            spool.seek(0)
            shutil.copyfileobj(spool, target, _PIECE)
            target.flush()
    except OSError as error:
        raise StorageError(f"{printable(name)} cannot be written: {error.strerror}") from None


def _copy(
    pieces: Iterator[bytes], out: BinaryIO, digest: Digest | None, size: int, name: str
) -> None:
    running, count = hashlib.sha256(), 0
    for piece in pieces:
        running.update(piece)
        count += len(piece)
        out.write(piece)
    found = Digest(running.hexdigest())
    if count != size or found != digest:
        raise ArchiveError(
            f"{printable(name)} is not what the file list says",
            details=[f"expected {digest}, found {found}"],
            slug="archive-digest",
        )


class _OfArchive:
    """Layers of an archive file."""

    def __init__(self, archive: Archive, version: VersionInfo, path: Path) -> None:
        self._archive = archive
        self._label = printable(path.name, 60)
        self.version = version

    def file_list(self, version: VersionInfo, diff_id: Digest) -> list[Mapping[str, Any]]:
        return self._archive.file_list(version, diff_id)

    def listed(self, layer: Layer) -> FileList:
        return read_file_list(self._archive.read_blob(layer_list(self.version, layer)), layer)

    def read(self, layer: Layer, offset: int, size: int) -> bytes:
        if layer.descriptor.digest in self._archive.omitted:
            raise refuse_thin(self._label)
        place = self._archive.locate(layer.descriptor.digest)
        if place is None:
            raise ArchiveError("a layer is missing", slug="archive-format")
        with open_place(place) as stream:
            stream.seek(offset)
            return stream.read(size)


class _OfRegistry:
    """Layers of a version on a registry, by requests for parts of blobs."""

    def __init__(self, reference: Reference, environ: Mapping[str, str], insecure: bool) -> None:
        from repro.workflows.pull import find_version

        self._registry: Registry = open_registry(reference, environ, insecure)
        self.version = find_version(self._registry, reference)
        self._lists: dict[Digest, FileList] = {}
        self._asked = 0

    def file_list(self, version: VersionInfo, diff_id: Digest) -> list[Mapping[str, Any]]:
        layer = next(layer for layer in version.layers if layer.diff_id == diff_id)
        return self.listed(layer).entries

    def listed(self, layer: Layer) -> FileList:
        if layer.diff_id not in self._lists:
            wanted = layer_list(self.version, layer)
            data = self._blob(wanted.digest, "a file list")
            self._lists[layer.diff_id] = read_file_list(data, layer)
        return self._lists[layer.diff_id]

    def outputs(self) -> set[str]:
        """Paths of the recorded results, which no layer holds."""
        artifact = self.version.artifact(RECORDING)
        blob = artifact.blob(CLAIMS) if artifact else None
        if blob is None or str(blob.digest) != self.version.config.labels.get(LABEL_CLAIMS):
            raise ArchiveError("the claims are not the ones that the image names")
        claims = Claims.parse(load(self._blob(blob.digest, "claims"), "claims"))
        return {output.path for output in claims.outputs}

    def _blob(self, digest: Digest, what: str) -> bytes:
        answer = self._registry.session.request(
            "GET", self._registry.blob_address(digest), scopes=self._registry.pull_scope
        )
        if Digest.of(answer.body) != digest:
            raise RemoteError(
                f"{self._registry.name} sent other bytes than {what}", slug="remote-digest"
            )
        return answer.body

    def read(self, layer: Layer, offset: int, size: int) -> bytes:
        self._asked += 1
        if self._asked > _MOST_REQUESTS:
            raise _Whole
        answer = self._registry.session.open(
            "GET", self._registry.blob_address(layer.descriptor.digest),
            scopes=self._registry.pull_scope,
            headers={"Range": f"bytes={offset}-{offset + size - 1}"},
            expect=(200, _PARTIAL),
        )  # fmt: skip
        with answer:
            if answer.status_code != _PARTIAL:
                raise _Whole
            data = read_limited(answer, size)
        if len(data) > size:
            raise RemoteError(f"{self._registry.name} sent more than was asked for")
        return data
