"""``repro export``: the same image in the forms that other tools take."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from repro.errors import ArchiveError, UsageError
from repro.model.oci import COMPRESSION, Layer
from repro.primitives import tarformat
from repro.primitives.canonical import CLAMP, dump
from repro.primitives.digest import Digest
from repro.primitives.events import Observer, done, silent
from repro.primitives.files import atomic_write
from repro.primitives.frames import decompressed
from repro.primitives.frozen import frozen
from repro.primitives.tarformat import Header, padding
from repro.primitives.texts import human_size, printable
from repro.store import documents
from repro.store.archive import Archive, VersionInfo
from repro.store.cache import Cache
from repro.store.catalog import references
from repro.workflows import devcontainer
from repro.workflows.extract import extract, new_folder
from repro.workflows.merging import merge_layers
from repro.workflows.places import cache_root
from repro.workflows.recipes import apptainer_definition, dockerfile

_PIECE = 1 << 20


@frozen
class ExportRequest:
    """A version and the forms wanted: each None or the place to write it to."""

    archive: Path
    tag: str | None
    environ: Mapping[str, str]
    docker: Path | None = None
    oci_dir: Path | None = None
    rootfs: Path | None = None
    apptainer: Path | None = None
    dockerfile: Path | None = None
    devcontainer: Path | None = None


def export(request: ExportRequest, observer: Observer = silent) -> list[Path]:
    """Write every wanted form; the places. All bytes are checked against their digests.

    Raises UsageError (a place is taken), ArchiveError, StorageError. A file is written in
    one step; a folder must be new or empty.
    """
    forms: list[tuple[str, Path | None, Callable[[Archive, VersionInfo, Path], None]]] = [
        ("docker", request.docker, _docker),
        ("oci-dir", request.oci_dir, _layout),
        ("rootfs", request.rootfs, lambda a, v, p: _rootfs(a, v, p, request.environ, observer)),
        ("apptainer", request.apptainer, lambda a, v, p: _text(p, _definition(a, v, request))),
        ("dockerfile", request.dockerfile, lambda a, v, p: _text(p, _recipe(a, v))),
        ("devcontainer", request.devcontainer, lambda a, v, p: _editor(a, v, p, request)),
    ]
    written = []
    with Archive.open(request.archive) as archive:
        version = archive.version(request.tag)
        for name, place, write in forms:
            if place is None:
                continue
            write(archive, version, place)
            written.append(place)
            observer(done("export", f"{name} · {printable(str(place))}"))
    if not written:
        raise UsageError(
            "nothing was asked for",
            hint="--docker FILE, --oci-dir FOLDER, --rootfs FOLDER, --apptainer FILE, "
            "--dockerfile FILE, --devcontainer FOLDER, --env FOLDER",
        )
    return written


def _docker(archive: Archive, version: VersionInfo, place: Path) -> None:
    """A docker-archive (docker image spec v1.2): plain layers, which any docker loads."""
    config = f"{version.config_digest.hex}.json"
    names = [f"{layer.diff_id.hex}/layer.tar" for layer in version.layers]
    tags = [_loaded_as(archive, version)]
    manifest = dump([{"Config": config, "RepoTags": tags, "Layers": names}])
    with atomic_write(place) as out:
        _member(out, "manifest.json", manifest)
        _member(out, config, version.config_bytes)
        for layer, member in zip(version.layers, names, strict=True):
            _plain_layer(archive, layer, member, out)
        out.write(tarformat.END)


def _loaded_as(archive: Archive, version: VersionInfo) -> str:
    """The image's name in docker."""
    name = archive.recording(version).claims.name
    return f"repro/{documents.image_name(name)}:{version.tag}"


def _editor(archive: Archive, version: VersionInfo, place: Path, request: ExportRequest) -> None:
    """The project's files, and what an editor needs to open them inside the image."""
    claims = archive.recording(version).claims
    text = devcontainer.devcontainer(claims, _loaded_as(archive, version))
    extract(
        request.archive, version.tag, place, results=False, force=False, environ=request.environ
    )
    folder = place / devcontainer.FOLDER
    if folder.is_symlink() or folder.exists():
        raise UsageError(
            f"the project has a {devcontainer.FOLDER} of its own: it is in {printable(str(place))}",
            hint="open that, or move it away and export the image with --docker",
        )
    folder.mkdir()
    _docker(archive, version, place / devcontainer.IMAGE)
    _text(folder / "devcontainer.json", text)


def _member(out: BinaryIO, name: str, data: bytes) -> None:
    out.write(tarformat.render(Header(name.encode(), size=len(data), mtime=CLAMP)))
    out.write(data + bytes(padding(len(data))))


def _plain_layer(archive: Archive, layer: Layer, name: str, out: BinaryIO) -> None:
    size = layer.uncompressed_size
    out.write(tarformat.render(Header(name.encode(), size=size, mtime=CLAMP)))
    running, written = hashlib.sha256(), 0
    with archive.open_blob(layer.descriptor) as stream:
        for chunk in decompressed(stream, COMPRESSION[layer.descriptor.media_type]):
            written += len(chunk)
            if written > size:
                break
            running.update(chunk)
            out.write(chunk)
        while written <= size and stream.read(_PIECE):
            pass  # what follows the compressed data is hashed too
    if written != size or Digest(running.hexdigest()) != layer.diff_id:
        raise ArchiveError(
            f"a {layer.kind} layer does not unpack to its diff_id and size",
            details=[f"expected {layer.diff_id}, {human_size(size)}"],
            slug="archive-digest",
        )
    out.write(bytes(padding(size)))


def _layout(archive: Archive, version: VersionInfo, place: Path) -> None:
    """An OCI image layout as a folder (image-spec, image-layout.md), artifacts included."""
    folder = new_folder(place, None, "export")
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)
    for _, descriptor in references(version):
        with archive.open_blob(descriptor) as stream:
            with (blobs / descriptor.digest.hex).open("wb") as out:
                shutil.copyfileobj(stream, out, _PIECE)
    listed = [version.descriptor, *(each.descriptor for each in version.artifacts)]
    (folder / documents.OCI_LAYOUT).write_bytes(documents.LAYOUT)
    (folder / documents.INDEX_JSON).write_bytes(documents.index_json(listed))


def _rootfs(
    archive: Archive, version: VersionInfo, place: Path, environ: Mapping[str, str],
    observer: Observer,
) -> None:  # fmt: skip
    folder = new_folder(place, None, "export")
    layers = Cache(cache_root(environ)).layers(archive, version, observer)
    merge_layers(layers, folder)


def _definition(archive: Archive, version: VersionInfo, request: ExportRequest) -> str:
    claims = archive.recording(version).claims
    if request.docker is not None:
        source = f"docker-archive\nFrom: {_relative(request.docker, request.apptainer)}"
    elif version.tag in archive.folded:
        raise UsageError(
            f"apptainer cannot read {version.tag} from the archive: it is folded (`repro log`)",
            hint="say --docker FILE as well: the definition then refers to that file",
        )
    else:
        source = f"oci-archive\nFrom: {_relative(request.archive, request.apptainer)}"
    return apptainer_definition(claims, str(version.config_digest), source)


def _relative(path: Path, beside: Path | None) -> str:
    base = beside.parent if beside is not None else Path()
    return os.path.relpath(path, base)


def _recipe(archive: Archive, version: VersionInfo) -> str:
    recording = archive.recording(version)
    return dockerfile(
        recording.claims, recording.circumstances, archive.lock_json(version),
        str(version.config_digest),
    )  # fmt: skip


def _text(place: Path, text: str) -> None:
    with atomic_write(place) as out:
        out.write(text.encode("utf-8", "backslashreplace"))
