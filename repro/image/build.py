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
from repro.image.source import pour
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
from repro.primitives.events import Told
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
    """One tar member; ``pour`` gives its bytes, exactly ``header.size`` of them."""

    header: Header
    origin: str = ""
    pour: Callable[[_Sink], None] | None = None


def build_layer(
    planned: PlannedLayer,
    blobs: Path,
    *,
    clamp: int,
    level: int = 3,
    told: Told | None = None,
    threads: int | None = None,
) -> BuiltLayer:
    """Write a layer and its file list into the folder ``blobs`` as ``<hex>``.

    ``told`` hears of every file and its bytes. ``clamp`` is the time of everything inside
    (seconds). ``threads`` is how many pack (by default as many as there are processors, at
    most four); with one the caller's does all.
    Timestamps inside ``.pyc`` files become the clamp too, so that Python accepts
    them beside clamped sources. Raises ProjectError when a file cannot be read or changes
    meanwhile, StorageError when the disk refuses.
    """
    if told is not None:
        told.text = planned.name
    members = _layer_members(planned.entries, clamp)
    return _write(members, blobs, level, planned.kind.value, LAYER_ZSTD, told=told, threads=threads)


def build_results_layer(
    outputs: Mapping[str, OutputFile], blobs: Path, *, clamp: int, level: int = 3
) -> BuiltLayer:
    """The recorded outputs as a blob of their own (media type RESULTS), by the same rules.

    Names are relative to the project root. Raises ProjectError when an output changes
    while it is read.
    """
    members = _result_members(outputs, clamp)
    return _write(members, blobs, level, "results", RESULTS)


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
    return _Member(header, entry.origin, partial(pour, entry, clamp))


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


def _reader(output: OutputFile, name: bytes) -> Callable[[_Sink], None]:
    def read(sink: _Sink) -> None:
        left = output.size
        shown = printable(os.fsdecode(name))
        try:
            with output.open() as stream:
                while left and (data := stream.read(min(left, _BATCH))):
                    left -= len(data)
                    sink.write(data)
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
    members: Iterator[_Member],
    blobs: Path,
    level: int,
    kind: str,
    media: str,
    *,
    told: Told | None = None,
    threads: int | None = None,
) -> BuiltLayer:
    try:
        fd, temporary = tempfile.mkstemp(prefix=".layer-", dir=blobs)
        try:
            by_content = kind == LayerKind.DATA.value
            with (
                os.fdopen(fd, "wb") as out,
                FrameWriter(out, level=level, threads=threads, by_content=by_content) as frames,
            ):
                listed = _tar(members, _Sink(frames, blobs, told))
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
    except OSError as error:
        raise _refused(error, blobs) from None
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


def _refused(error: OSError, blobs: Path) -> StorageError:
    return StorageError(
        f"a layer cannot be written to {printable(str(blobs))}: {error.strerror}",
        hint="free some space, or set REPRO_CACHE to a folder on another disk",
    )


class _Sink:
    """Where members' bytes go: into the frames, hashed on the way and told."""

    def __init__(self, out: FrameWriter, blobs: Path, told: Told | None) -> None:
        self._out = out
        self._blobs = blobs
        self._told = told
        self._running = hashlib.sha256()
        self._untold = 0

    @property
    def position(self) -> int:
        """Bytes of the stream so far."""
        return self._out.written

    def begin(self) -> None:
        """What follows is a file's bytes, up to ``end``."""
        self._running = hashlib.sha256()

    def end(self) -> str:
        """The file's sha256."""
        if self._told is not None:
            self._told.add(self._untold, 1)
            self._untold = 0
        return self._running.hexdigest()

    def room(self) -> memoryview:
        return self._out.room()

    def filled(self, count: int) -> None:
        self._take(self._out.room()[:count])
        try:
            self._out.filled(count)
        except OSError as error:
            raise _refused(error, self._blobs) from None

    def write(self, data: bytes) -> None:
        self._take(data)
        self.put(data)

    def put(self, data: bytes) -> None:
        """Bytes of the tar itself, of no file."""
        try:
            self._out.write(data)
        except OSError as error:
            raise _refused(error, self._blobs) from None

    def _take(self, data: bytes | memoryview) -> None:
        self._running.update(data)
        self._untold += len(data)
        if self._untold >= _BATCH and self._told is not None:
            self._told.add(self._untold)
            self._untold = 0


def _tar(members: Iterator[_Member], sink: _Sink) -> list[bytes]:
    """Write the members as a tar; the file list, each entry as its JSON: a third of the memory."""
    listed = []
    for member in members:
        sink.put(tarformat.render(member.header))
        entry = _listed(member)
        if member.pour is not None:
            entry["offset"] = sink.position
            sink.begin()
            member.pour(sink)
            entry["sha256"] = sink.end()
            sink.put(bytes(padding(member.header.size)))
        listed.append(dump(entry))
    sink.put(tarformat.END)
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
    blobs: Path, frames: FrameWriter, diff_id: Digest, listed: list[bytes]
) -> Descriptor:
    # The canonical form: the keys in their order.
    document = b"".join(
        (
            b'{"diff_id":', dump(str(diff_id)), b',"entries":[', b",".join(listed),
            b'],"frame":', dump(FRAME), b',"frames":', dump(frames.frames),
            b',"schema":', dump(TOC_SCHEMA), b"}",
        )
    )  # fmt: skip
    data = zstandard.ZstdCompressor(level=9, write_checksum=True).compress(document)
    descriptor = Descriptor(media_type=TOC, digest=Digest.of(data), size=len(data))
    temporary = blobs / f".{descriptor.digest.hex}"
    temporary.write_bytes(data)
    os.replace(temporary, blobs / descriptor.digest.hex)
    return descriptor
