"""Packages in ``node_modules`` folders (npm's folders(5), package-lock.json(5))."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packageurl import PackageURL

from repro.model.entry import LayerKind
from repro.model.lock import Grade, LockedPackage
from repro.model.observation import LeftOut, PackageRef
from repro.model.ports import PackageFile
from repro.pin.base import PackageSource

_PACKAGE = re.compile(r"(.*)/node_modules/((?:@[^/@.][^/@]*/)?[^/@.][^/@]*)(?=/)")
_NOT_PACKED = ("test", "tests", "__tests__", "docs", "doc", "example", "examples", "man")
_LOCKS = ("node_modules/.package-lock.json", "package-lock.json", "npm-shrinkwrap.json")
"""npm's own list of what is installed, then the project's; the first that knows the package."""

_DEPENDENCIES = ("dependencies", "optionalDependencies", "peerDependencies")
_STRENGTH = {"sha512": 128, "sha384": 96, "sha256": 64, "sha1": 40}
_PUBLIC = re.compile(r"https?://[^/@\s]+/\S+")


class Node(PackageSource):
    """A folder below ``node_modules`` with a package.json that has a name and a version."""

    name = "node"
    rank = 35
    kind = LayerKind.PACKAGES

    def __init__(self, root: str = "/") -> None:
        super().__init__(root)
        self._known: dict[str, Mapping[str, Any] | None] = {}
        self._locks: dict[str, Mapping[str, Any]] = {}

    def _usable(self) -> str | None:
        return None

    def _owner(self, path: str) -> PackageRef | None:
        match = _PACKAGE.match(path)
        if match is None:
            return None
        folder = f"{match.group(1)}/node_modules/{match.group(2)}"
        return self._ref(folder) if self._description(folder) is not None else None

    def _files(self, package: PackageRef) -> Iterator[PackageFile]:
        top = self.host(package.key)
        for folder, folders, files in os.walk(top):
            left = (*_NOT_PACKED, "node_modules") if folder == top else ("node_modules",)
            folders[:] = sorted(name for name in folders if name not in left)
            linked = [name for name in folders if os.path.islink(f"{folder}/{name}")]
            for name in sorted((*files, *linked)):
                path = f"{folder[len(self.root) :]}/{name}"
                yield PackageFile(path=path, member=path[len(package.key) + 1 :])

    def _left_out(self, package: PackageRef) -> Iterator[LeftOut]:
        present = [n for n in _NOT_PACKED if os.path.isdir(self.host(f"{package.key}/{n}"))]
        if present:
            yield LeftOut(path=f"node:{package.name}", reason=f"its {', '.join(present)}")

    def _requires(self, package: PackageRef) -> Iterator[PackageRef]:
        fields = self._description(package.key) or {}
        names: dict[str, None] = {}
        for group in _DEPENDENCIES:
            listed = fields.get(group)
            names.update(dict.fromkeys(listed) if isinstance(listed, dict) else {})
        for name in names:
            found = self._resolved(package.key, name)
            if found is not None and found != package.key:
                yield self._ref(found)

    def _resolved(self, folder: str, name: str) -> str | None:
        """Where require() finds a package from here (Node's algorithm, links resolved)."""
        at = folder
        while at:
            if at.rpartition("/")[2] != "node_modules":
                place = f"{at}/node_modules/{name}"
                if os.path.isfile(self.host(f"{place}/package.json")):
                    real = os.path.realpath(self.host(place))[len(self.root) :]
                    owner = self._owner(f"{real}/package.json")
                    return owner.key if owner else None
            at = at.rpartition("/")[0]
        return None

    def _lock(self, package: PackageRef) -> LockedPackage:
        said_by, entry = self._entry(package)
        resolved = _text(entry, "resolved")
        digest = _integrity(_text(entry, "integrity"))
        commit = re.fullmatch(r"git\+.*#([0-9a-f]{40})", resolved or "")
        if digest is None and commit:
            digest = f"git-sha1:{commit.group(1)}"
        url = resolved if digest and resolved and _PUBLIC.fullmatch(resolved) else None
        grade = Grade.HASH_ONLY if digest else Grade.NAME_ONLY
        scope, _, name = package.name.rpartition("/")
        return LockedPackage(
            source=self.name,
            name=package.name,
            version=package.version,
            purl=PackageURL(
                type="npm", namespace=scope or None, name=name, version=package.version
            ).to_string(),
            grade=Grade.URL_AND_HASH if url else grade,
            url=url,
            hash=digest,
            facts=self._facts(package, said_by, entry),
        )

    def _facts(self, package: PackageRef, said_by: str, entry: Mapping[str, Any]) -> dict[str, str]:
        top = package.key.partition("/node_modules/")[0]
        found = {"top": top, "folder": package.key[len(top) + 1 :]}
        if entry:
            found["said-by"] = said_by
        if (integrity := _text(entry, "integrity")) is not None:
            found["integrity"] = integrity
        return found

    def _entry(self, package: PackageRef) -> tuple[str, Mapping[str, Any]]:
        """The lock file that knows this folder with this version, and its entry."""
        top = package.key.partition("/node_modules/")[0]
        folder = package.key[len(top) + 1 :]
        for name in _LOCKS:
            packages = self._lock_file(f"{top}/{name}").get("packages")
            entry = packages.get(folder) if isinstance(packages, dict) else None
            if isinstance(entry, dict) and entry.get("version") == package.version:
                return name, entry
        return "", {}

    def _lock_file(self, path: str) -> Mapping[str, Any]:
        if path not in self._locks:
            self._locks[path] = _json(Path(self.host(path))) or {}
        return self._locks[path]

    def _ref(self, folder: str) -> PackageRef:
        fields = self._description(folder) or {}
        return PackageRef(
            source=self.name, key=folder, name=fields["name"], version=fields["version"]
        )

    def _description(self, folder: str) -> Mapping[str, Any] | None:
        if folder not in self._known:
            fields = _json(Path(self.host(folder)) / "package.json") or {}
            named = all(_text(fields, key) for key in ("name", "version"))
            self._known[folder] = fields if named else None
        return self._known[folder]


def _json(path: Path) -> Mapping[str, Any] | None:
    """A JSON object; None without the file. Raises ValueError that names a damaged one."""
    try:
        found = json.loads(path.read_bytes())
    except OSError:
        return None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from error
    return found if isinstance(found, dict) else None


def _integrity(text: str | None) -> str | None:
    """The strongest hash of a Subresource Integrity text (W3C SRI), in hexadecimal."""
    words = dict(
        word.partition("?")[0].split("-", 1) for word in (text or "").split() if "-" in word
    )
    for algorithm, length in _STRENGTH.items():
        try:
            digest = base64.b64decode(words.get(algorithm, ""), validate=True).hex()
        except binascii.Error:
            continue
        if len(digest) == length:
            return f"{algorithm}:{digest}"
    return None


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) and value else None
