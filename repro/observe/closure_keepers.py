"""Whose package a needed one is, when two package managers know the same files."""

from __future__ import annotations

from collections.abc import Sequence

from repro.model.entry import LayerKind
from repro.model.observation import PackageRef
from repro.model.ports import PackageFile, PackageIndex


class Keepers:
    """Asks the package sources in their order, as for a file that the run read.

    numpy of a conda environment has a dist-info as well: needed by what pip put beside it,
    it is still conda's, with all that conda says it needs.
    """

    def __init__(self, indexes: Sequence[PackageIndex]) -> None:
        self._indexes = indexes
        self._known: dict[tuple[str, str], PackageRef] = {}
        self._files: dict[tuple[str, str], Sequence[PackageFile]] = {}

    def of(self, package: PackageRef) -> PackageRef:
        """The package itself, or that of an earlier source that owns its description."""
        key = (package.source, package.key)
        if key not in self._known:
            self._known[key] = self._find(package)
        return self._known[key]

    def files(self, package: PackageRef) -> Sequence[PackageFile]:
        """The package's files, asked for once."""
        key = (package.source, package.key)
        if key not in self._files:
            self._files[key] = self._index(package).files(package)
        return self._files[key]

    def _index(self, package: PackageRef) -> PackageIndex:
        return next(each for each in self._indexes if each.name == package.source)

    def _find(self, package: PackageRef) -> PackageRef:
        if self._index(package).kind_of(package) is not LayerKind.PACKAGES:
            return package
        paths = [file.path for file in self.files(package)]
        path = next((each for each in paths if each.endswith("/METADATA")), None)
        for other in self._indexes if path else ():
            found = other.owner(str(path))
            if found is not None:
                return found
        return package
