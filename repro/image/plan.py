"""Which file goes into which layer (archive.md, decision 5)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from repro.errors import ProjectError
from repro.model.entry import EntryType, FileEntry, LayerKind
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable

OWN_PACKAGE = 20_000_000
"""A package over this many bytes gets a layer of its own."""

OWN_DATA = 16_000_000
"""A data file over this many bytes gets a layer of its own."""

LISTED = 40_000_000
"""A layer whose file list (build.py) would be larger than this many bytes is several: readers
refuse documents over 64 MiB, and a person who unpacks holds one layer's names in memory."""

_ENTRY = 180
"""Bytes of a file list's entry without its path: offset, size, sha256, origin."""

_ORDER = list(LayerKind)
_RANK = {kind: rank for rank, kind in enumerate(_ORDER)}
_PLAIN = re.compile(r"(?:/(?!\.)[^/]+|/\.(?!wh\.|\.?(?:/|\Z))[^/]*)+", re.DOTALL)
"""A path that is nothing out of the ordinary; what is not is looked at again, to say why."""


@frozen
class PlannedLayer:
    """A layer to build: ``name`` is its line in the history, ``entries`` sorted by path."""

    kind: LayerKind
    name: str
    entries: tuple[FileEntry, ...]


def plain_files(planned: PlannedLayer) -> tuple[int, int]:
    """Bytes and number of a layer's files, a hard link counted once."""
    files = [entry for entry in planned.entries if entry.type is EntryType.FILE]
    linked = {entry.link_key: entry for entry in files if entry.link_key is not None}
    once = [*(entry for entry in files if entry.link_key is None), *linked.values()]
    sizes = (len(e.content) if e.content is not None else e.size for e in once)
    return sum(sizes), len(once)


def plan_layers(files: Sequence[FileEntry], *, max_layers: int = 24) -> list[PlannedLayer]:
    """Distribute files over at most ``max_layers`` layers, lowest first.

    base, system, runtime, packages (each group over OWN_PACKAGE by itself, biggest
    first, then the rest), data (the same with OWN_DATA), code. What has some hundred
    thousand files is several layers (LISTED), beyond ``max_layers``. The order of ``files``
    does not matter. Raises ProjectError when two files claim one path, when a file lies
    below something that is no folder, or when a name is reserved for whiteouts.
    """
    entries = _unique(files)
    by_kind: dict[LayerKind, list[FileEntry]] = {kind: [] for kind in _ORDER}
    for entry in entries:
        by_kind[entry.kind].append(entry)
    # One layer for each kind's rest is set aside; what is over goes to the biggest.
    spare = max(0, max_layers - len(_ORDER))
    own_groups = _own_groups(by_kind[LayerKind.PACKAGES])[:spare]
    own_data = _own_data(by_kind[LayerKind.DATA])[: spare - len(own_groups)]
    layers: list[PlannedLayer] = []
    for kind in _ORDER:
        rest = by_kind[kind]
        if kind is LayerKind.PACKAGES:
            layers += [_layer(kind, f"packages: {printable(g, 120)}", e) for g, e in own_groups]
            taken = {group for group, _ in own_groups}
            rest = [entry for entry in rest if entry.group not in taken or entry.group is None]
        elif kind is LayerKind.DATA:
            layers += [_layer(kind, f"data: {printable(e.path, 120)}", [e]) for e in own_data]
            alone = {entry.path for entry in own_data}
            rest = [entry for entry in rest if entry.path not in alone]
        layers += [_layer(kind, kind.value, part) for part in _parts(rest)]
    return layers


def _layer(kind: LayerKind, name: str, entries: Iterable[FileEntry]) -> PlannedLayer:
    return PlannedLayer(kind=kind, name=name, entries=tuple(entries))


def _parts(entries: Sequence[FileEntry]) -> list[list[FileEntry]]:
    """The entries in runs that each have a file list of at most LISTED bytes.

    A hard link leads into its own layer only, so all linked files are in the first.
    """
    if len(entries) * _ENTRY + sum(len(entry.path) for entry in entries) < LISTED // 6:
        return [list(entries)] if entries else []  # even if each character takes six bytes
    parts = [[entry for entry in entries if entry.link_key is not None]]
    held = sum(map(_listed, parts[0]))
    for entry in entries:
        if entry.link_key is not None:
            continue
        size = _listed(entry)
        if held + size > LISTED and parts[-1]:
            parts[-1].sort(key=lambda each: os.fsencode(each.path))
            parts.append([])
            held = 0
        parts[-1].append(entry)
        held += size
    parts[-1].sort(key=lambda each: os.fsencode(each.path))
    return parts


def _listed(entry: FileEntry) -> int:
    """About the bytes of an entry in a file list, whose text is ASCII."""
    text = entry.path + (entry.target or "")
    return _ENTRY + len(entry.origin) + (len(text) if text.isascii() else 6 * len(text))


def _own_groups(entries: Sequence[FileEntry]) -> list[tuple[str, list[FileEntry]]]:
    groups: dict[str, list[FileEntry]] = {}
    for entry in entries:
        if entry.group is not None:
            groups.setdefault(entry.group, []).append(entry)
    sizes = {group: sum(entry.size for entry in found) for group, found in groups.items()}
    big = [group for group in groups if sizes[group] > OWN_PACKAGE]
    return [(group, groups[group]) for group in sorted(big, key=lambda g: (-sizes[g], g))]


def _own_data(entries: Sequence[FileEntry]) -> list[FileEntry]:
    # A hard link leads into its own layer only, so linked files stay together.
    big = [e for e in entries if e.size > OWN_DATA and e.link_key is None]
    return sorted(big, key=lambda entry: (-entry.size, os.fsencode(entry.path)))


def _unique(files: Iterable[FileEntry]) -> list[FileEntry]:
    found: dict[str, FileEntry] = {}
    for entry in sorted(files, key=lambda e: (os.fsencode(e.path), _RANK[e.kind])):
        _check_path(entry)
        before = found.setdefault(entry.path, entry)
        folders = before.type is entry.type is EntryType.FOLDER
        if before is not entry and before != entry and not folders:
            raise ProjectError(
                f"two different files claim {printable(entry.path)} in the image",
                details=[f"from {before.origin} and from {entry.origin}"],
                slug="plan",
            )
    _check_parents(found)
    return list(found.values())


def _check_path(entry: FileEntry) -> None:
    if _PLAIN.fullmatch(entry.path):
        return
    parts = entry.path.split("/")
    if parts[0] or len(parts) < 2 or any(part in ("", ".", "..") for part in parts[1:]):
        raise ProjectError(f"'{printable(entry.path)}' is not a normal absolute path", slug="plan")
    if any(part.startswith(".wh.") for part in parts):
        raise ProjectError(
            f"{printable(entry.path)} cannot be packed: container images reserve names "
            "that begin with .wh.",
            hint="rename it, or exclude it in repro.yml",
            slug="reserved-name",
        )


def _check_parents(found: dict[str, FileEntry]) -> None:
    """A real folder above a symlink of a lower layer would hide what the link shows."""
    folders: set[str] = set()
    for path in found:
        parent = path.rpartition("/")[0]
        while parent and parent not in folders:
            above = found.get(parent)
            if above is not None and above.type is not EntryType.FOLDER:
                raise ProjectError(
                    f"{printable(path)} lies below {printable(parent)}, which is a "
                    f"{above.type.value} in the image",
                    slug="plan",
                )
            folders.add(parent)
            parent = parent.rpartition("/")[0]
