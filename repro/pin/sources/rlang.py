"""R packages in libraries that no package manager of the system owns (Writing R Extensions, 1.1)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from packageurl import PackageURL

from repro.model.entry import LayerKind
from repro.model.lock import Grade, LockedPackage
from repro.model.observation import LeftOut, PackageRef
from repro.model.ports import PackageFile
from repro.pin.base import PackageSource

_NOT_PACKED = ("doc", "html", "demo", "tests")


class Rlang(PackageSource):
    """A folder with an installed package's DESCRIPTION (it has a ``Built`` field)."""

    name = "r"
    rank = 30
    kind = LayerKind.PACKAGES

    def __init__(self, root: str = "/") -> None:
        super().__init__(root)
        self._known: dict[str, dict[str, str] | None] = {}
        self._libraries: dict[str, None] = {}

    def _usable(self) -> str | None:
        return None

    def _owner(self, path: str) -> PackageRef | None:
        folder = path
        while folder := folder.rpartition("/")[0]:
            fields = self._description(folder)
            if fields is not None:
                self._libraries[folder.rpartition("/")[0]] = None
                return self._ref(folder, fields)
        return None

    def _files(self, package: PackageRef) -> Iterator[PackageFile]:
        for folder, folders, files in os.walk(self.host(package.key)):
            if folder == self.host(package.key):
                folders[:] = [name for name in folders if name not in _NOT_PACKED]
            folders.sort()
            linked = [name for name in folders if os.path.islink(f"{folder}/{name}")]
            for name in sorted((*files, *linked)):
                path = f"{folder[len(self.root) :]}/{name}"
                yield PackageFile(path=path, member=path)

    def _left_out(self, package: PackageRef) -> Iterator[LeftOut]:
        present = [n for n in _NOT_PACKED if os.path.isdir(self.host(f"{package.key}/{n}"))]
        if present:
            yield LeftOut(path=f"cran:{package.name}", reason=f"its {', '.join(present)}")

    def _requires(self, package: PackageRef) -> Iterator[PackageRef]:
        fields = self._description(package.key) or {}
        text = f"{fields.get('Depends', '')},{fields.get('Imports', '')}"
        libraries = dict.fromkeys((package.key.rpartition("/")[0], *self._libraries))
        for name in re.findall(r"([A-Za-z][A-Za-z0-9.]*)\s*(?:\([^)]*\))?\s*(?:,|$)", text):
            for library in libraries:
                found = self._description(f"{library}/{name}")
                if found is not None:
                    yield self._ref(f"{library}/{name}", found)
                    break

    def _lock(self, package: PackageRef) -> LockedPackage:
        return LockedPackage(
            source=self.name,
            name=package.name,
            version=package.version,
            purl=PackageURL(type="cran", name=package.name, version=package.version).to_string(),
            grade=Grade.NAME_ONLY,
        )

    def _ref(self, folder: str, fields: dict[str, str]) -> PackageRef:
        return PackageRef(
            source=self.name, key=folder, name=fields["Package"], version=fields["Version"]
        )

    def _description(self, folder: str) -> dict[str, str] | None:
        if folder not in self._known:
            self._known[folder] = self._read(folder)
        return self._known[folder]

    def _read(self, folder: str) -> dict[str, str] | None:
        path = Path(self.host(folder)) / "DESCRIPTION"
        if not path.is_file():
            return None
        fields: dict[str, str] = {}
        key = ""
        for line in path.read_text("utf-8", "replace").splitlines():
            if line[:1] in (" ", "\t") and key:
                fields[key] += " " + line.strip()
            elif ":" in line:
                key, _, value = line.partition(":")
                fields[key] = value.strip()
        return fields if {"Package", "Version", "Built"} <= fields.keys() else None
