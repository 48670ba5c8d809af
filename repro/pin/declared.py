"""A package source that gives no whole packages: their data and metadata alone (--minimal)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from repro.model.entry import LayerKind
from repro.model.lock import LockedPackage
from repro.model.observation import LeftOut, PackageRef
from repro.model.ports import PackageFile, PackageIndex

_CODE = re.compile(
    r"\.(?:py|pyc|pyo|pyi|pyd|pxd|pyx|pxi|so|dylib|dll|lib|a|o|exe|h|hh|hpp|hxx|inl|cuh|c|cc|cpp|"
    r"cxx|f|f90|for|cmake|pc|map)$|\.so\.[\d.]+$|/bin/[^/]+$|/(?:site|dist)-packages/[^/]+\.libs/|"
    r"/include/",
    re.IGNORECASE,
)
_OF_R = re.compile(r"/(?:DESCRIPTION|NAMESPACE|INDEX)$|/(?:Meta|data|extdata)/")
_IN_SYSTEM = re.compile(
    r"/R/(?:site-)?library/[^/]+/(?:(?:DESCRIPTION|NAMESPACE|INDEX)$|(?:Meta|data|extdata)/)|"
    r"/dist-packages/[^/]+\.(?:dist|egg)-info(?:/|$)"
)
_SHELL = "dash"


class DeclaredOnly:
    """A package source as the closure sees it, without what a package merely holds.

    Of a Python distribution: its dist-info, and every file of it that is no code. Of an R
    package: DESCRIPTION, NAMESPACE, Meta and its data sets. Of a node module: package.json.
    Of a system package: the same of what it has for R and Python, and its entry for
    scanners. What the run read comes along in any case. The shell is whole, so that
    somebody can look around inside.
    """

    def __init__(self, index: PackageIndex) -> None:
        self._index = index

    @property
    def name(self) -> str:
        """The source's own name."""
        return self._index.name

    def owner(self, path: str) -> PackageRef | None:
        """As the source says."""
        return self._index.owner(path)

    def files(self, package: PackageRef) -> Sequence[PackageFile]:
        """The package's declared data and metadata."""
        return [file for file in self._index.files(package) if _declared(package, file.path)]

    def left_out(self, package: PackageRef) -> Sequence[LeftOut]:
        """What the source leaves out, and that the rest depends on the run."""
        reason = "minimal: of its code only what the run read"
        return [*self._index.left_out(package), LeftOut(path=_shown(package), reason=reason)]

    def requires(self, package: PackageRef) -> Sequence[PackageRef]:
        """None: a requirement that the run used was read."""
        return ()

    def lock(self, package: PackageRef) -> LockedPackage:
        """As the source says."""
        return self._index.lock(package)

    def usable(self) -> str | None:
        """As the source says."""
        return self._index.usable()

    def kind_of(self, package: PackageRef) -> LayerKind:
        """As the source says, but nothing is the same for every project here."""
        kind = self._index.kind_of(package)
        return LayerKind.SYSTEM if kind is LayerKind.BASE else kind

    def editable(self, package: PackageRef) -> str | None:
        """As the source says."""
        return self._index.editable(package)

    def always(self) -> Sequence[PackageRef]:
        """The shell."""
        return [package for package in self._index.always() if package.name == _SHELL]

    def environment(self, prefix: str) -> Sequence[PackageRef]:
        """As the source says."""
        return self._index.environment(prefix)

    def status_stanza(self, package: PackageRef) -> bytes | None:
        """As the source says."""
        return self._index.status_stanza(package)


def _declared(package: PackageRef, path: str) -> bool:
    if package.source == "node":
        return path.endswith("/package.json")
    if package.source == "pip" or (package.source == "conda" and "/site-packages/" in path):
        return ".dist-info/" in path or _CODE.search(path) is None
    if package.source == "r":
        return _OF_R.search(path) is not None
    if package.source == "apt":
        # R asks whether a NAMESPACE is there without opening it: the run alone does not tell.
        return package.name == _SHELL or _IN_SYSTEM.search(path) is not None
    return False


def _shown(package: PackageRef) -> str:
    kinds = {"apt": "deb", "pip": "pypi", "r": "cran"}
    return f"{kinds.get(package.source, package.source)}:{package.name}"


def declared_only(indexes: Sequence[PackageIndex]) -> list[PackageIndex]:
    """The sources, each giving declared files only."""
    return [DeclaredOnly(index) for index in indexes]
