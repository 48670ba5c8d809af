"""What changed between two versions beside their results: files, packages, what runs.

From file lists, locks and claims alone: no layer is unpacked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from repro.model.lock import Lock
from repro.model.recording import Claims
from repro.primitives.frozen import frozen
from repro.store.archive import Archive
from repro.store.catalog import VersionInfo
from repro.store.contents import Contents, Place
from repro.workflows.names import parse_reference


@frozen
class _Side:
    archive: Archive
    version: VersionInfo
    claims: Claims

    @classmethod
    def of(cls, archive: Archive, tag: str | None) -> _Side:
        version = archive.version(tag)
        return cls(archive=archive, version=version, claims=archive.recording(version).claims)


def changes(old: str, new: str) -> dict[str, Any]:
    """The document ``repro.changes/1`` for ``ARCHIVE[:TAG]`` twice.

    Files are told apart by content, kind and link target; a layer that both versions have
    is not looked into. Paths of the old project are shown below the new one's folder. File
    lists hold no permissions: a layer that differs in them only is in ``layers`` and names
    no file. Raises UsageError, ArchiveError.
    """
    old_path, old_tag = parse_reference(old)
    new_path, new_tag = parse_reference(new)
    with Archive.open(old_path) as one, Archive.open(new_path) as two:
        before, after = _Side.of(one, old_tag), _Side.of(two, new_tag)
        return {
            "schema": "repro.changes/1",
            "same_image": before.version.config_digest == after.version.config_digest,
            "layers": _layers(before, after),
            "files": _files(before, after),
            "packages": _packages(before, after),
            "outputs": _outputs(before.claims, after.claims),
            "run": _run(before.claims, after.claims),
        }


def _layers(before: _Side, after: _Side) -> dict[str, Any]:
    old = {layer.diff_id: layer for layer in before.version.layers}
    new = {layer.diff_id: layer for layer in after.version.layers}

    def listed(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> list[dict[str, Any]]:
        return [
            {"kind": layer.kind, "diff_id": str(layer.diff_id), "size": layer.descriptor.size}
            for diff_id, layer in one.items()
            if diff_id not in other
        ]

    return {
        "same": len(old.keys() & new.keys()),
        "removed": listed(old, new),
        "added": listed(new, old),
    }


def _files(before: _Side, after: _Side) -> dict[str, list[dict[str, Any]]]:
    shared = {layer.diff_id for layer in before.version.layers}
    shared &= {layer.diff_id for layer in after.version.layers}
    listed = [_contents(side, shared) for side in (before, after)]
    if any(contents.deletes for contents in listed):
        # What is deleted may lie in a layer that both have.
        listed = [_contents(side, set()) for side in (before, after)]
    old, new = (
        dict(_shown(side, contents, after.claims.root))
        for side, contents in zip((before, after), listed, strict=True)
    )
    found: dict[str, list[dict[str, Any]]] = {"added": [], "removed": [], "changed": []}
    for path in sorted(old.keys() | new.keys()):
        then, now = old.get(path), new.get(path)
        if then is None and now is not None:
            found["added"].append(_entry(path, now) | _state(now))
        elif now is None and then is not None:
            found["removed"].append(_entry(path, then) | _state(then))
        elif then is not None and now is not None:
            states = (_state(then), _state(now))
            if states[0] != states[1] or then.layer.kind != now.layer.kind:
                entry = _entry(path, now) | {"old": states[0], "new": states[1]}
                if then.layer.kind != now.layer.kind:
                    entry["old_layer"] = then.layer.kind
                found["changed"].append(entry)
    return found


def _contents(side: _Side, shared: set[Any]) -> Contents:
    return Contents(side.archive, side.version, without=shared)


def _shown(side: _Side, contents: Contents, root: str) -> Iterator[tuple[str, Place]]:
    own = side.claims.root.rstrip("/") + "/"
    for place in contents.below("/"):
        if place.type != "folder":
            path = place.path
            if path.startswith(own):
                path = f"{root.rstrip('/')}/{path[len(own) :]}"
            yield path, contents.bytes_of(place)


def _entry(path: str, place: Place) -> dict[str, Any]:
    return {"path": path, "layer": place.layer.kind, "origin": place.origin}


def _state(place: Place) -> dict[str, Any]:
    if place.type == "symlink":
        return {"type": "symlink", "target": place.target}
    return {
        "type": place.type,
        "size": place.size,
        "sha256": place.digest.hex if place.digest is not None else None,
    }


def _packages(before: _Side, after: _Side) -> dict[str, list[dict[str, Any]]]:
    old, new = _locked(before), _locked(after)
    found: dict[str, list[dict[str, Any]]] = {"added": [], "removed": [], "changed": []}
    for key in sorted(old.keys() | new.keys()):
        source, name = key
        entry: dict[str, Any] = {"source": source, "name": name}
        then, now = old.get(key, []), new.get(key, [])
        versions = ([v for v, _ in then], [v for v, _ in now])
        if not then:
            found["added"].append(entry | {"versions": versions[1]})
        elif not now:
            found["removed"].append(entry | {"versions": versions[0]})
        elif then != now:
            # The same version from other bytes: rebuilt, or from another address.
            rebuilt = versions[0] == versions[1]
            found["changed"].append(
                entry | {"old": versions[0], "new": versions[1], "rebuilt": rebuilt}
            )
    return found


def _locked(side: _Side) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """(source, name) to its versions, each with the hash of what was installed."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for package in Lock.parse(side.archive.lock_json(side.version)).packages:
        key = (package.source, package.name)
        found.setdefault(key, []).append((package.version, package.hash or ""))
    return {key: sorted(versions) for key, versions in found.items()}


def _outputs(before: Claims, after: Claims) -> dict[str, list[dict[str, Any]]]:
    old = {output.path: output for output in before.outputs}
    new = {output.path: output for output in after.outputs}
    return {
        "added": [{"path": path, "size": new[path].size, "sha256": new[path].digest.hex}
                  for path in sorted(new.keys() - old.keys())],
        "removed": [{"path": path, "size": old[path].size, "sha256": old[path].digest.hex}
                    for path in sorted(old.keys() - new.keys())],
        "changed": [
            {"path": path,
             "old": {"size": old[path].size, "sha256": old[path].digest.hex},
             "new": {"size": new[path].size, "sha256": new[path].digest.hex}}
            for path in sorted(old.keys() & new.keys())
            if (old[path].digest, old[path].link) != (new[path].digest, new[path].link)
        ],
    }  # fmt: skip


def _run(before: Claims, after: Claims) -> dict[str, Any]:
    """What is run, where, and with which variables; only what differs."""
    found: dict[str, Any] = {}
    if before.steps != after.steps:
        found["steps"] = {
            "old": before.to_json()["steps"],
            "new": after.to_json()["steps"],
        }
    if before.root != after.root:
        found["root"] = {"old": before.root, "new": after.root}
    old, new = before.environment, after.environment
    variables = {
        name: {"old": old.get(name), "new": new.get(name)}
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    }
    if variables:
        found["environment"] = variables
    return found
