"""Every path of a version with the layers that hold it, from the file lists (TOC)."""

from __future__ import annotations

import posixpath
from collections.abc import Container, Iterator, Mapping, Set
from typing import Any, NoReturn, Protocol

from repro.errors import ArchiveError
from repro.model.oci import Layer, mapping, text, whole
from repro.primitives.digest import Digest
from repro.primitives.frozen import frozen
from repro.store.catalog import VersionInfo

_WHITEOUT = ".wh."
_MAX_HOPS = 40  # as the kernel (path_resolution(7))


@frozen
class Place:
    """A path in one layer (``number`` counts from 1, lowest first); sizes in bytes.

    ``type`` is file, folder, symlink or hardlink; ``target`` a link's text. ``origin`` is
    ``deb:libc6``, ``project``, ``unowned`` …, empty for a folder that only holds others.
    """

    path: str
    number: int
    layer: Layer
    type: str
    origin: str
    size: int = 0
    digest: Digest | None = None
    target: str | None = None


class FileLists(Protocol):
    """Where file lists come from: an archive, or a registry."""

    def file_list(self, version: VersionInfo, diff_id: Digest) -> list[Mapping[str, Any]]:
        """The entries of a layer's file list."""
        ...


class Contents:
    """What an image shows, and what lies hidden below; from file lists, no layer is read."""

    def __init__(
        self, archive: FileLists, version: VersionInfo, without: Container[Digest] = ()
    ) -> None:
        """Reads the file lists, but not of layers with a diff_id in ``without``.

        Raises ArchiveError when one is missing or damaged.
        """
        self._places: dict[str, list[Place]] = {}
        self._deleted: list[Place] = []
        for number, layer in enumerate(version.layers, 1):
            if layer.diff_id in without:
                continue
            entries = archive.file_list(version, layer.diff_id)
            places = [_place(entry, number, layer) for entry in entries]
            self._delete({gone for place in places if (gone := _deleted(place)) is not None})
            for place in places:
                if _deleted(place) is None:
                    self._places.setdefault(place.path, []).insert(0, place)
                else:
                    self._deleted.append(place)

    @property
    def deletes(self) -> bool:
        """Whether a layer deletes anything of those below it."""
        return bool(self._deleted)

    def at(self, path: str) -> list[Place]:
        """The places of an absolute path, the visible one first; links are not followed."""
        return self._places.get(path, [])

    def below(self, folder: str) -> Iterator[Place]:
        """What is visible below a folder, the folder itself left out."""
        prefix = folder.rstrip("/") + "/"
        for path, places in self._places.items():
            if path.startswith(prefix):
                yield places[0]

    def every(self) -> Iterator[Place]:
        """All places, hidden and deleted ones too, and the entries that delete them."""
        for places in self._places.values():
            yield from places
        yield from self._deleted

    def real(self, path: str) -> tuple[str, tuple[Place, ...]]:
        """The path with all links resolved, and the links on the way (path_resolution(7)).

        The rest of a path below something that is not in the image stays as it is.
        Raises ArchiveError on a ring of links.
        """
        hops: list[Place] = []
        pending = [part for part in path.split("/") if part not in ("", ".")][::-1]
        done: list[str] = []
        while pending:
            part = pending.pop()
            if part == "..":
                done[-1:] = []
                continue
            here = "/" + "/".join((*done, part))
            found = self.at(here)
            if not found or found[0].type != "symlink":
                done.append(part)
                continue
            if len(hops) >= _MAX_HOPS:
                _refuse("the image's links lead in a ring")
            hops.append(found[0])
            target = found[0].target or ""
            if target.startswith("/"):
                done = []
            pending += [part for part in target.split("/") if part not in ("", ".")][::-1]
        return "/" + "/".join(done), tuple(hops)

    def _delete(self, gone: Set[str]) -> None:
        """What the layers so far show at these paths, or below them, shows no more."""
        if not gone:
            return
        for path in list(self._places):
            pieces = path.split("/")
            if any("/".join(pieces[:count]) in gone for count in range(2, len(pieces) + 1)):
                self._deleted += self._places.pop(path)

    def bytes_of(self, place: Place) -> Place:
        """The file that a hard link shares its bytes with; ``place`` itself for others."""
        if place.type != "hardlink":
            return place
        first = "/" + (place.target or "")
        for other in self.at(first):
            if other.number == place.number and other.type == "file":
                return other
        _refuse("a hard link in a file list leads to nothing")


def _deleted(place: Place) -> str | None:
    """The path that a whiteout deletes (image-spec, layer.md); None for any other entry.

    repro writes no opaque ones.
    """
    folder, _, name = place.path.rpartition("/")
    return f"{folder}/{name[len(_WHITEOUT) :]}" if name.startswith(_WHITEOUT) else None


def _place(entry: object, number: int, layer: Layer) -> Place:
    fields = mapping(entry, "file list entry")
    path = "/" + text(fields.get("path"), "file list path")
    if posixpath.normpath(path) != path or path.startswith("//"):
        _refuse("a file list has a path that is not normal")
    origin = text(fields.get("origin", ""), "file list origin")
    for kind in ("symlink", "hardlink"):
        if kind in fields:
            target = text(fields[kind], "file list link")
            return Place(
                path=path, number=number, layer=layer, type=kind, origin=origin, target=target
            )
    if fields.get("folder") is True:
        return Place(path=path, number=number, layer=layer, type="folder", origin=origin)
    return Place(
        path=path,
        number=number,
        layer=layer,
        type="file",
        origin=origin,
        size=whole(fields.get("size"), "file list size"),
        digest=Digest.parse("sha256:" + text(fields.get("sha256"), "file list sha256")),
    )


def _refuse(message: str) -> NoReturn:
    raise ArchiveError(message, slug="archive-format")
