"""The distributions of an image: their dist-info, their RECORD, the files that they claim."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator

from packaging.tags import Tag
from packaging.utils import canonicalize_name

from repro.model.packed import PackedFiles
from repro.pin.launchers import entry_points
from repro.pin.wheel import read_record, tags_of
from repro.primitives.frozen import frozen

_INFO = re.compile(r"(/.*/(?:site|dist)-packages)/([^/]+)\.dist-info/METADATA")
_KEPT = re.compile(
    r"/.*/(?:site|dist)-packages/[^/]+\.dist-info/"
    r"(?:METADATA|RECORD|WHEEL|direct_url\.json|entry_points\.txt)"
)
_PROGRAM = re.compile(r"/.*/bin/[^/]+")
_PROGRAM_LIMIT = 64 << 10


@frozen
class DistFiles:
    """One distribution as an image holds it.

    ``record`` maps real paths to sha256 (None without one); None when there is no readable
    RECORD. ``from_elsewhere`` says that its direct_url.json names no index (PEP 610).
    """

    name: str
    version: str
    site: str
    info: str
    record: dict[str, str | None] | None
    tags: frozenset[Tag]
    launchers: dict[str, tuple[str, str]]
    from_elsewhere: str | None


def wanted(path: str) -> bool:
    """Whether the bytes of a path are needed to read distributions from an image."""
    return _KEPT.fullmatch(path) is not None or _PROGRAM.fullmatch(path) is not None


def dists_in(files: PackedFiles) -> Iterator[DistFiles]:
    """Every distribution of the image, by the path of its dist-info."""
    for path, _ in sorted(files.items()):
        match = _INFO.fullmatch(path)
        if match:
            found = _read(files, match.group(1), path.rpartition("/")[0])
            if found is not None:
                yield found


def content(files: PackedFiles, path: str) -> bytes:
    """The kept bytes at a path; empty when there are none."""
    found = files.get(path)
    return (found.content or b"") if found is not None else b""


def _read(files: PackedFiles, site: str, info: str) -> DistFiles | None:
    fields = _head(content(files, f"{info}/METADATA"))
    if not {"name", "version"} <= fields.keys():
        return None
    record = _record(files, f"{info}/RECORD", site)
    prefix = posixpath.normpath(f"{site}/../../..")
    named = entry_points(content(files, f"{info}/entry_points.txt"))
    return DistFiles(
        name=canonicalize_name(fields["name"]),
        version=fields["version"],
        site=site,
        info=info,
        record=record,
        tags=tags_of(content(files, f"{info}/WHEEL")),
        launchers={files.real(f"{prefix}/bin/{name}"): call for name, call in named.items()},
        from_elsewhere=_elsewhere(content(files, f"{info}/direct_url.json")),
    )


def _record(files: PackedFiles, path: str, site: str) -> dict[str, str | None] | None:
    if files.get(path) is None:
        return None
    try:
        rows = read_record(content(files, path), site)
    except ValueError:
        return None
    return {files.real(name): digest for name, digest in rows.items()}


def _head(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in data.split(b"\n\n", 1)[0].decode("utf-8", "replace").splitlines():
        key, colon, value = line.partition(": ")
        if colon and not line.startswith((" ", "\t")):
            found.setdefault(key.lower(), value.strip())
    return found


def _elsewhere(data: bytes) -> str | None:
    """What kind of place a direct_url.json names; None without one."""
    if not data:
        return None
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return "an unreadable place"
    if isinstance(document, dict):
        if "vcs_info" in document:
            return "a version control system"
        if "dir_info" in document:
            return "a folder"
    return "a file or address of its own"
