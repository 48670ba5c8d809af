"""Layers as deterministic tars, compressed and hashed in one pass (archive.md).

The same entries give the same uncompressed bytes on every machine: names sorted as
bytes, parents first, one fixed time, uid and gid 0, modes 0755 and 0644.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import zstandard

from repro.errors import ProjectError, StorageError
from repro.image.plan import PlannedLayer
from repro.image.source import chunks_of
from repro.model.entry import EntryType, FileEntry, LayerKind
from repro.model.oci import (
    ANNOTATION_KIND,
    ANNOTATION_TOC,
    ANNOTATION_USIZE,
    LAYER_ZSTD,
    RESULTS,
    TOC,
    Descriptor,
    Layer,
)
from repro.model.ports import OutputFile
from repro.primitives import tarformat
from repro.primitives.canonical import dump
from repro.primitives.digest import Digest
from repro.primitives.events import Tally
from repro.primitives.frames import FRAME, FrameWriter
from repro.primitives.frozen import frozen
from repro.primitives.tarformat import Header, padding
from repro.primitives.texts import printable

TOC_SCHEMA = "repro.toc/1"
_BATCH = 1 << 20


@frozen
class BuiltLayer:
    """A finished layer: its blob lies at ``path``, its file list (``toc``) beside it."""

    layer: Layer
    path: Path
    toc: Descriptor


@dataclass(frozen=True)
class _Member:
    """One tar member; ``chunks`` gives its bytes, exactly ``header.size`` of them."""

    header: Header
    origin: str = ""
    chunks: Callable[[], Iterator[bytes]] | None = None


def build_layer(
    planned: PlannedLayer,
    blobs: Path,
    *,
    clamp: int,
    level: int = 3,
    told: Tally | None = None,
) -> BuiltLayer:
    """Write a layer and its file list into the folder ``blobs`` as ``<hex>``.

    ``told`` hears of every file and its bytes. ``clamp`` is the time of everything inside
    (seconds). Timestamps inside ``.pyc`` files become the clamp too, so that Python accepts
    them beside clamped sources. Raises ProjectError when a file cannot be read or changes
    meanwhile, StorageError when the disk refuses.
    """
    members = _layer_members(planned.entries, clamp)
    if told is not None:
        told.text = planned.name
        members = _telling(members, told)
    return _write(members, blobs, level, planned.kind.value, LAYER_ZSTD)


def build_results_layer(
    outputs: Mapping[str, OutputFile], blobs: Path, *, clamp: int, level: int = 3
) -> BuiltLayer:
    """The recorded outputs as a blob of their own (media type RESULTS), by the same rules.

    Names are relative to the project root. Raises ProjectError when an output changes
    while it is read.
    """
    members = _result_members(outputs, clamp)
    return _write(members, blobs, level, "results", RESULTS)


def _telling(members: Iterator[_Member], told: Tally) -> Iterator[_Member]:
    """The same members; what was read of them is told."""

    def counted(chunks: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
        for chunk in chunks():
            yield chunk
            told.add(len(chunk))

    for member in members:
        if member.chunks is not None:
            read = partial(counted, member.chunks)
            yield _Member(member.header, member.origin, read)
            told.add(0, files=1)
        else:
            yield member


def _layer_members(entries: Sequence[FileEntry], clamp: int) -> Iterator[_Member]:
    by_name = {os.fsencode(entry.path.lstrip("/")): entry for entry in entries}
    first: dict[tuple[int, int], bytes] = {}
    for name in _with_parents(by_name):
        entry = by_name.get(name)
        if entry is None or entry.type is EntryType.FOLDER:
            origin = entry.origin if entry else ""
            yield _Member(Header(name + b"/", tarformat.FOLDER, 0, 0o755, clamp), origin)
        elif entry.type is EntryType.SYMLINK:
            link = os.fsencode(entry.target or "")
            yield _Member(Header(name, tarformat.SYMLINK, 0, 0o777, clamp, link), entry.origin)
        else:
            yield _file_member(name, entry, clamp, first)


def _file_member(
    name: bytes, entry: FileEntry, clamp: int, first: dict[tuple[int, int], bytes]
) -> _Member:
    mode = 0o755 if entry.mode & 0o111 else 0o644
    if entry.link_key is not None:
        earlier = first.setdefault(entry.link_key, name)
        if earlier != name:
            return _Member(Header(name, tarformat.HARDLINK, 0, mode, clamp, earlier), entry.origin)
    size = len(entry.content) if entry.content is not None else entry.size
    header = Header(name, tarformat.FILE, size, mode, clamp)
    return _Member(header, entry.origin, lambda: chunks_of(entry, clamp))


def _result_members(outputs: Mapping[str, OutputFile], clamp: int) -> Iterator[_Member]:
    by_name = {os.fsencode(path): output for path, output in outputs.items()}
    for name in _with_parents(by_name):
        output = by_name.get(name)
        if output is None:
            yield _Member(Header(name + b"/", tarformat.FOLDER, 0, 0o755, clamp))
        elif output.link:
            with output.open() as stream:
                link = stream.read()
            yield _Member(Header(name, tarformat.SYMLINK, 0, 0o777, clamp, link), "output")
        else:
            header = Header(name, tarformat.FILE, output.size, 0o644, clamp)
            yield _Member(header, "output", _reader(output, name))


def _reader(output: OutputFile, name: bytes) -> Callable[[], Iterator[bytes]]:
    def read() -> Iterator[bytes]:
        left = output.size
        shown = printable(os.fsdecode(name))
        try:
            with output.open() as stream:
                while left and (data := stream.read(min(left, _BATCH))):
                    left -= len(data)
                    yield data
                if left or stream.read(1):
                    raise ProjectError(f"{shown} changed while it was packed", slug="changed")
        except OSError as error:
            raise ProjectError(
                f"{shown} cannot be read: {error.strerror}", slug="unreadable"
            ) from None

    return read


def _with_parents(names: Mapping[bytes, object]) -> list[bytes]:
    """The names and all folders above them, sorted: a parent is a prefix, so it comes first."""
    found = set(names)
    for name in names:
        parent = posixpath.dirname(name)
        while parent and parent not in found:
            found.add(parent)
            parent = posixpath.dirname(parent)
    return sorted(found)


def _write(
    members: Iterator[_Member], blobs: Path, level: int, kind: str, media: str
) -> BuiltLayer:
    try:
        return _write_blob(members, blobs, level, kind, media)
    except OSError as error:
        raise StorageError(
            f"a layer cannot be written to {printable(str(blobs))}: {error.strerror}",
            hint="free some space, or set REPRO_CACHE to a folder on another disk",
        ) from None


def _write_blob(
    members: Iterator[_Member], blobs: Path, level: int, kind: str, media: str
) -> BuiltLayer:
    fd, temporary = tempfile.mkstemp(prefix=".layer-", dir=blobs)
    try:
        with (
            os.fdopen(fd, "wb") as out,
            FrameWriter(out, level=level, by_content=kind == LayerKind.DATA.value) as frames,
        ):
            listed = _tar(members, frames)
            digest, diff_id = frames.finish()
            out.flush()
            os.fchmod(out.fileno(), 0o644)
        path = blobs / digest.hex
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    toc = _write_toc(blobs, frames, diff_id, listed)
    annotations = {
        ANNOTATION_KIND: kind,
        ANNOTATION_USIZE: str(frames.written),
        ANNOTATION_TOC: str(toc.digest),
    }
    descriptor = Descriptor(
        media_type=media, digest=digest, size=frames.size, annotations=annotations
    )
    layer = Layer(
        descriptor=descriptor, diff_id=diff_id, uncompressed_size=frames.written, kind=kind
    )
    return BuiltLayer(layer=layer, path=path, toc=toc)


class _Batch:
    """Small pieces gathered into writes of a mebibyte; ``position`` is the stream's."""

    def __init__(self, out: FrameWriter) -> None:
        self._out = out
        self._pieces: list[bytes] = []
        self._held = 0
        self.position = 0

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._held += len(piece)
        self.position += len(piece)
        if self._held >= _BATCH:
            self.flush()

    def flush(self) -> None:
        self._out.write(b"".join(self._pieces))
        self._pieces, self._held = [], 0


def _tar(members: Iterator[_Member], out: FrameWriter) -> list[dict[str, Any]]:
    """Write the members as a tar; the file list."""
    listed = []
    batch = _Batch(out)
    for member in members:
        batch.add(tarformat.render(member.header))
        entry = _listed(member)
        if member.chunks is not None:
            entry["offset"] = batch.position
            running = hashlib.sha256()
            for chunk in member.chunks():
                running.update(chunk)
                batch.add(chunk)
            entry["sha256"] = running.hexdigest()
            batch.add(bytes(padding(member.header.size)))
        listed.append(entry)
    batch.add(tarformat.END)
    batch.flush()
    return listed


def _listed(member: _Member) -> dict[str, Any]:
    header = member.header
    found: dict[str, Any] = {"path": os.fsdecode(header.name.rstrip(b"/"))}
    if header.kind == tarformat.FILE:
        found["size"] = header.size
    elif header.kind == tarformat.FOLDER:
        found["folder"] = True
    else:
        what = "symlink" if header.kind == tarformat.SYMLINK else "hardlink"
        found[what] = os.fsdecode(header.link)
    if member.origin:
        found["origin"] = member.origin
    return found


def _write_toc(
    blobs: Path, frames: FrameWriter, diff_id: Digest, listed: list[dict[str, Any]]
) -> Descriptor:
    document = {
        "schema": TOC_SCHEMA,
        "diff_id": str(diff_id),
        "frame": FRAME,
        "frames": frames.frames,
        "entries": listed,
    }
    data = zstandard.ZstdCompressor(level=9, write_checksum=True).compress(dump(document))
    descriptor = Descriptor(media_type=TOC, digest=Digest.of(data), size=len(data))
    temporary = blobs / f".{descriptor.digest.hex}"
    temporary.write_bytes(data)
    os.replace(temporary, blobs / descriptor.digest.hex)
    return descriptor
