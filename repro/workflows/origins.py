"""``repro inspect --file``: where a path of an image comes from."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from repro.errors import UsageError
from repro.model.folders import CACHES
from repro.model.lock import Lock, LockedPackage
from repro.model.recording import Recording
from repro.model.remote_input import RemoteSource
from repro.primitives.texts import printable
from repro.store.archive import Archive
from repro.store.catalog import VersionInfo
from repro.store.contents import Contents, Place
from repro.workflows.repository import file_state

SCHEMA = "repro.inspect-file/1"
ORIGINS = {"deb": "apt", "pypi": "pip", "cran": "r"}
"""What an origin's first word is called as a package source, where the two differ."""

_CHECKED = "file list only; `repro verify` checks every byte"
_WORDS = {
    "project": "the project's own file",
    "unowned": "no package owns it",
    "repro": "written by repro",
    "home": "the home folder, empty but for what was read in it",
    "": "a folder that only holds others",
}
_SITE = re.compile(r"/(?:site|dist)-packages/")


def origin(path: Path, tag: str | None, name: str) -> dict[str, Any]:
    """The document ``repro.inspect-file/1`` for one path: layer, package, commit, hash, size.

    ``name`` is absolute, or relative to the project folder. ``found`` is ``image``,
    ``results`` (a recorded output, which no layer holds) or ``left-out`` (with the
    reason). Raises UsageError when the archive says nothing of the path, ArchiveError.
    """
    with Archive.open(path, thin=True) as archive:
        version = archive.version(tag)
        recording = archive.recording(version)
        root = recording.claims.root
        asked = posixpath.normpath(posixpath.join(root, name)).replace("//", "/")
        contents = Contents(archive, version)
        real, links = contents.real(asked)
        found: dict[str, Any] = {
            "schema": SCHEMA,
            "archive": {"digest": str(version.config_digest), "tag": version.tag},
            "checked": _CHECKED,
            "path": asked,
            "links": [_link(link) for link in links],
            "real": real,
        }
        places = contents.at(real)
        if places:
            lock = Lock.parse(archive.lock_json(version))
            return {**found, **_in_image(contents, version, recording, lock, places)}
        return {**found, **_elsewhere(recording, asked, real)}


def _link(place: Place) -> dict[str, Any]:
    return {"path": place.path, "target": place.target, "origin": place.origin}


def _in_image(
    contents: Contents,
    version: VersionInfo,
    recording: Recording,
    lock: Lock,
    places: Sequence[Place],
) -> dict[str, Any]:
    place = places[0]
    remote = _remote(recording, place)
    bearer = contents.bytes_of(place)
    packages = packages_of(place, lock.packages)
    found: dict[str, Any] = {
        "found": "image",
        "type": bearer.type,
        "size": bearer.size,
        "sha256": bearer.digest.hex if bearer.digest else None,
        "same_file_as": bearer.path if bearer is not place else None,
        "layer": {
            "number": place.number,
            "of": len(version.layers),
            "kind": place.layer.kind,
            "diff_id": str(place.layer.diff_id),
        },
        "hidden_in_layers": [other.number for other in places[1:] if other.type == "file"],
        "origin": place.origin,
        "from": _WORDS.get(place.origin, "a package"),
        "packages": [each.to_json() for each in packages],
        "member": member_of(place, packages),
        "remote": remote.to_json() if remote is not None else None,
        # What was put there for the run was not in the folder when git was asked.
        "commit": None if remote is not None and remote.placed else _commit(recording, place),
    }
    if place.type == "folder":
        found["holds"] = summary(contents.below(place.path))
    return found


def packages_of(place: Place, packages: Iterable[LockedPackage]) -> list[LockedPackage]:
    """The locked packages that a place's origin (``deb:libc6``) names.

    Several when one name is there in several environments and none of them holds the path.
    """
    kind, colon, name = place.origin.partition(":")
    source = ORIGINS.get(kind, kind)
    named = [each for each in packages if colon and (each.source, each.name) == (source, name)]
    holding = [each for each in named if place.path.startswith(_folder(each) + "/")]
    longest = max((len(_folder(each)) for each in holding), default=0)
    return [each for each in holding if len(_folder(each)) == longest] or named


def _folder(package: LockedPackage) -> str:
    """The folder that everything of an installed package lies in, as far as the pin tells."""
    facts = package.facts
    if "site" in facts:
        return facts["site"].rpartition("/lib/")[0] or facts["site"]
    if "top" in facts and "folder" in facts:
        return f"{facts['top']}/{facts['folder']}"
    return facts.get("prefix") or facts.get("library") or "/nowhere"


def member_of(place: Place, packages: Sequence[LockedPackage]) -> str | None:
    """The file's name inside its package; None for what no package holds."""
    kind, colon, _ = place.origin.partition(":")
    if not colon:
        return None
    if kind == "pypi" and _SITE.search(place.path):
        return _SITE.split(place.path)[-1]
    if kind in ("conda", "node", "cran") and len(packages) == 1:
        folder = _folder(packages[0])
        if place.path.startswith(folder + "/"):
            return place.path[len(folder) + 1 :]
    return place.path.lstrip("/")


def _remote(recording: Recording, place: Place) -> RemoteSource | None:
    """Where a remote input of the project was fetched from."""
    root = recording.claims.root
    for source in RemoteSource.recorded(recording.circumstances):
        if f"{root}/{source.path}" == place.path:
            return source
    return None


def _commit(recording: Recording, place: Place) -> dict[str, Any] | None:
    """The project's commit and how this file stood to it; None when there is none."""
    git = recording.circumstances.get("git")
    root = recording.claims.root
    if place.origin != "project" or not isinstance(git, dict) or place.type == "folder":
        return None
    state = file_state(git, place.path[len(root) + 1 :])
    return {"commit": git.get("commit"), "branch": git.get("branch"), "state": state}


def summary(places: Iterable[Place]) -> list[dict[str, Any]]:
    """Plain files by origin, the heaviest first: size in bytes before compression, count."""
    sizes: dict[str, list[int]] = {}
    for place in places:
        if place.type in ("file", "hardlink", "symlink"):
            total = sizes.setdefault(place.origin, [0, 0])
            total[0] += place.size
            total[1] += 1
    ordered = sorted(sizes.items(), key=lambda item: (-item[1][0], item[0]))
    return [{"origin": name, "size": size, "files": count} for name, (size, count) in ordered]


def _elsewhere(recording: Recording, asked: str, real: str) -> dict[str, Any]:
    """A recorded output, or something left out. Raises UsageError for what is neither."""
    root = recording.claims.root
    for output in recording.claims.outputs:
        if f"{root}/{output.path}" in (asked, real):
            return {
                "found": "results",
                "type": "symlink" if output.link else "file",
                "size": output.size,
                "sha256": output.digest.hex,
                "from": "a recorded result: the run writes it, no layer holds it",
            }
    inside = asked[len(root) + 1 :].split("/") if asked.startswith(root + "/") else []
    if not CACHES.isdisjoint(inside):
        reason = "caches and .git never travel; commit and changed files are in the recording"
        left_out = [{"path": asked, "reason": reason}]
        return {"found": "left-out", "left_out": left_out, "from": "it was not packed"}
    left = [item for item in recording.circumstances.get("left_out", []) if isinstance(item, dict)]
    reasons = [item for item in left if _names(item, root, asked) or _names(item, root, real)]
    if reasons:
        return {"found": "left-out", "left_out": reasons, "from": "it was not packed"}
    raise UsageError(
        f"{printable(asked)} is not in the archive, and nothing there tells of it",
        hint=_seen(recording, asked) or "paths are absolute, or relative to " + printable(root),
        slug="no-such-path",
    )


def _names(item: Mapping[str, Any], root: str, path: str) -> bool:
    """Whether an entry of left_out means this path or a folder above it."""
    listed = item.get("path")
    if not isinstance(listed, str):
        return False
    place = posixpath.join(root, listed).rstrip("/")
    return path == place or path.startswith(place + "/")


def _seen(recording: Recording, path: str) -> str | None:
    for item in recording.circumstances.get("files", []):
        if isinstance(item, dict) and item.get("path") == path:
            return "the recorded run touched it (" + printable(str(item.get("role")), 8) + ")"
    return None
