"""What an image shows: every path with its hash, from the bytes of its layers.

The file lists of an archive (TOC) hang on no digest of the image; what must be proved is
read from the layers themselves. Nothing is written to disk.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol

from repro.errors import ArchiveError
from repro.model.oci import COMPRESSION, Layer
from repro.model.packed import PackedFile
from repro.primitives import tarformat
from repro.primitives.digest import Digest
from repro.primitives.frames import decompressed
from repro.primitives.pipes import SideHash, ahead
from repro.primitives.tarformat import Header
from repro.primitives.tarread import Limits, TarReader, refuse, split_name
from repro.primitives.texts import human_size

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_KEEP_LIMIT = 16 << 20
_MAX_HOPS = 40  # as the kernel (path_resolution(7))
_FOLDER = PackedFile(kind="folder", layer="")


class Spill(Protocol):
    """Where bytes of many files go."""

    def wants(self, path: str) -> bool:
        """Whether it takes this file's bytes."""
        ...

    def put(self, path: str, data: bytes) -> None:
        """Take them; the last for a path counts."""
        ...


class ImageListing:
    """The merged view of an image's layers, lowest first (image-spec, layer.md).

    ``keep`` says of which paths the bytes are kept (up to 16 MiB each), ``spill`` which it takes
    itself; with ``md5`` every file's MD5 is taken as well.
    """

    def __init__(
        self, keep: Callable[[str], bool], *, md5: bool = False, spill: Spill | None = None
    ) -> None:
        self._keep = keep
        self._spill = spill
        self._md5 = md5
        self._files: dict[str, PackedFile] = {"/": _FOLDER}

    def add(self, stream: BinaryIO, layer: Layer, limits: Limits | None = None) -> None:
        """Lay a layer on top. Raises ArchiveError on hostile content or a wrong diff_id."""
        limits = limits or Limits()
        compression = COMPRESSION.get(layer.descriptor.media_type)
        if compression is None:
            raise ArchiveError("a layer has an unknown media type", slug="archive-format")
        most = max(limits.floor, limits.ratio * layer.descriptor.size)
        chunks = ahead(_checked(decompressed(stream, compression), layer.diff_id, most))
        found: dict[str, PackedFile] = {}
        hidden: list[str] = []
        try:
            reader = TarReader(chunks, limits)
            for header in reader:
                self._member(header, reader, limits, layer.kind or "", found, hidden)
        finally:
            chunks.close()
        self._merge(found, hidden)

    def get(self, path: str) -> PackedFile | None:
        """What lies at an absolute path whose folders are no links."""
        return self._files.get(path)

    def items(self) -> Iterator[tuple[str, PackedFile]]:
        """Every path that is no folder, with what lies there."""
        for path, file in self._files.items():
            if file.kind != "folder":
                yield path, file

    def real(self, path: str) -> str:
        """The path with the links of its folders resolved, the leaf as it is.

        Raises ArchiveError on a ring of links.
        """
        folder, _, leaf = path.rpartition("/")
        return posixpath.join(self._real_folder(folder or "/"), leaf)

    def _real_folder(self, folder: str) -> str:
        pending = [part for part in folder.split("/") if part not in ("", ".")][::-1]
        done: list[str] = []
        hops = 0
        while pending:
            part = pending.pop()
            if part == "..":
                done[-1:] = []
                continue
            here = self._files.get("/" + "/".join((*done, part)))
            if here is None or here.kind != "symlink":
                done.append(part)
                continue
            hops += 1
            if hops > _MAX_HOPS:
                raise ArchiveError("the image's links lead in a ring", slug="archive-hostile")
            target = here.target or ""
            if target.startswith("/"):
                done = []
            pending += [piece for piece in target.split("/") if piece not in ("", ".")][::-1]
        return "/" + "/".join(done)

    def _member(
        self,
        header: Header,
        reader: TarReader,
        limits: Limits,
        layer: str,
        found: dict[str, PackedFile],
        hidden: list[str],
    ) -> None:
        parts = [os.fsdecode(part) for part in split_name(header.name, limits)]
        if not parts:
            return
        path = "/" + "/".join(parts)
        if parts[-1].startswith(_WHITEOUT):
            hidden.append(path)
            return
        if path in found and not (header.kind == tarformat.FOLDER and found[path] is _FOLDER):
            refuse(header.name, "appears twice")
        for depth in range(1, len(parts)):
            above = found.setdefault("/" + "/".join(parts[:depth]), _FOLDER)
            if above.kind != "folder":
                refuse(header.name, "lies below something that is no folder")
        found[path] = self._entry(header, reader, path, layer, found, limits)

    def _entry(
        self,
        header: Header,
        reader: TarReader,
        path: str,
        layer: str,
        found: dict[str, PackedFile],
        limits: Limits,
    ) -> PackedFile:
        if header.kind == tarformat.FILE:
            return self._file(header, reader, path, layer)
        if header.kind == tarformat.FOLDER:
            return PackedFile(kind="folder", layer=layer)
        if header.kind == tarformat.SYMLINK:
            return PackedFile(kind="symlink", layer=layer, target=os.fsdecode(header.link))
        if header.kind == tarformat.HARDLINK:
            first = os.fsdecode(b"/" + b"/".join(split_name(header.link, limits, header.name)))
            if first in found and found[first].kind == "file":
                return found[first]
            refuse(header.name, "is a hard link to no plain file of this layer")
        refuse(header.name, "is neither a file, a folder nor a link")

    def _file(self, header: Header, reader: TarReader, path: str, layer: str) -> PackedFile:
        running = hashlib.sha256()
        other: Any = hashlib.md5(usedforsecurity=False) if self._md5 else None
        small = header.size <= _KEEP_LIMIT
        keep = small and self._keep(path)
        spilled = small and self._spill is not None and self._spill.wants(path)
        kept: list[bytes] = []
        for piece in reader.data():
            running.update(piece)
            if other is not None:
                other.update(piece)
            if keep or spilled:
                kept.append(bytes(piece))
        if spilled and self._spill is not None:
            self._spill.put(path, b"".join(kept))
        return PackedFile(
            kind="file",
            layer=layer,
            size=header.size,
            sha256=running.hexdigest(),
            md5=other.hexdigest() if other is not None else None,
            content=b"".join(kept) if keep else None,
        )

    def _merge(self, found: dict[str, PackedFile], hidden: list[str]) -> None:
        for path in hidden:
            folder, _, leaf = path.rpartition("/")
            gone = folder + "/" if leaf == _OPAQUE else f"{folder}/{leaf[len(_WHITEOUT) :]}"
            self._drop(gone)
        for path, file in found.items():
            before = self._files.get(path)
            if before is not None and before.kind == "folder" and file.kind != "folder":
                self._drop(path)
            self._files[path] = file

    def _drop(self, path: str) -> None:
        """Forget a path and what lies below it (only the latter when it ends with a slash)."""
        below = path.rstrip("/") + "/"
        for name in [each for each in self._files if each == path or each.startswith(below)]:
            del self._files[name]


def _checked(chunks: Iterator[bytes], diff_id: Digest, most: int) -> Iterator[bytes]:
    """The chunks; raises ArchiveError when they are too many or not what the image names."""
    plain, total = SideHash(), 0
    try:
        for chunk in chunks:
            total += len(chunk)
            if total > most:
                raise ArchiveError(
                    f"a layer unpacks to more than {human_size(most)}", slug="archive-limit"
                )
            plain.update(chunk)
            yield chunk
    finally:
        found = plain.finish()
    if found != diff_id:
        raise ArchiveError(
            "a layer's unpacked bytes do not match its diff_id",
            details=[f"expected {diff_id}, found {found}"],
            slug="archive-digest",
        )
