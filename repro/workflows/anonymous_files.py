"""The files of an image under paths that tell nobody; those of environments written anew."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from repro.errors import ProjectError
from repro.model.entry import EntryType, FileEntry, LayerKind
from repro.primitives.frozen import frozen, replace
from repro.primitives.texts import printable
from repro.project.identity import HOME, PROJECT, Identity
from repro.project.path_map import PathMap
from repro.workflows.guarding import is_authors

_LARGEST = 1 << 30
_ZIP = b"PK\x03\x04"


@frozen
class Anonymised:
    """``files`` sorted by path; how many were written anew; places that could not be mended."""

    files: tuple[FileEntry, ...]
    rewritten: int
    found: tuple[str, ...]


def anonymised_files(
    entries: Sequence[FileEntry], paths: PathMap, identity: Identity, folder: Path
) -> Anonymised:
    """Every entry under its mapped path. ``folder`` takes the files that are written anew.

    Files of the system's packages are as everywhere and stay so, the author's own too. Raises
    ProjectError when two files would come to one place.
    """
    work = _Work(paths, identity, folder)
    made = [replaced for entry in entries for replaced in work.entry(entry)]
    made += work.aliases()
    return Anonymised(
        files=tuple(_one_each(made)), rewritten=work.rewritten, found=tuple(work.found)
    )


class _Work:
    def __init__(self, paths: PathMap, identity: Identity, folder: Path) -> None:
        self._paths = paths
        self._identity = identity
        self._places = identity.only(HOME, PROJECT)
        self._folder = folder
        self._used: set[str] = set()
        self.rewritten = 0
        self.found: list[str] = []

    def entry(self, entry: FileEntry) -> Iterator[FileEntry]:
        path = self._paths.text(entry.path)
        if entry.type is EntryType.SYMLINK:
            target = self._paths.text(entry.target or "")
            # The home folder by another name, which is one and the same now.
            if os.path.join(os.path.dirname(path), target) != path:
                yield replace(entry, path=path, target=target)
        elif entry.type is EntryType.FOLDER:
            yield replace(entry, path=path)
        elif entry.content is not None:
            content = self._paths.data(entry.content)
            yield replace(entry, path=path, content=content, size=len(content))
        elif entry.origin.startswith("deb:") or is_authors(entry):
            yield replace(entry, path=path)
        else:
            yield replace(self._environments(entry), path=path)

    def aliases(self) -> Iterator[FileEntry]:
        """The short links that rewritten programs go through."""
        for alias, target in self._paths.aliases:
            if alias in self._used:
                yield FileEntry(
                    path=alias, type=EntryType.SYMLINK, kind=LayerKind.CODE, origin="repro",
                    target=target,
                )  # fmt: skip

    def _environments(self, entry: FileEntry) -> FileEntry:
        """A file that an installer wrote for this machine, with its paths mapped."""
        source = Path(entry.source or entry.path)
        try:
            if entry.size > _LARGEST:
                with source.open("rb") as stream:
                    self._tell(entry, list(self._places.in_stream(stream, 1)))
                return entry
            data = source.read_bytes()
        except OSError:
            return entry  # the packing itself says what cannot be read
        if self._paths.holds(data) and not data.startswith(_ZIP):
            new = self._mapped(data)
            if new != data:
                entry = self._written(entry, new)
                data = new
        # A package that everybody can get tells nothing by its words.
        words = self._identity if entry.origin == "unowned" else self._places
        self._tell(entry, [(0, kind) for _, kind in words.find(data)])
        return entry

    def _mapped(self, data: bytes) -> bytes:
        if b"\0" not in data:
            return self._paths.data(data)
        try:
            new = self._paths.same_length(data)
        except ValueError:
            return data
        self._used |= {alias for alias, _ in self._paths.aliases if alias.encode() in new}
        return new

    def _written(self, entry: FileEntry, data: bytes) -> FileEntry:
        place = self._folder / str(self.rewritten)
        place.write_bytes(data)
        self.rewritten += 1
        return replace(entry, source=str(place), size=len(data), link_key=None)

    def _tell(self, entry: FileEntry, places: Sequence[tuple[int, str]]) -> None:
        for _, kind in dict.fromkeys(places):
            self.found.append(f"{entry.path}: {kind}")


def _one_each(entries: Iterable[FileEntry]) -> list[FileEntry]:
    found: dict[str, FileEntry] = {}
    for entry in sorted(entries, key=lambda each: os.fsencode(each.path)):
        before = found.setdefault(entry.path, entry)
        if before is entry or before.type is entry.type is EntryType.FOLDER:
            continue
        raise ProjectError(
            f"two files would both be {printable(entry.path)} in the anonymous archive",
            hint="give the archive another name: --name",
            slug="identity",
        )
    return list(found.values())
