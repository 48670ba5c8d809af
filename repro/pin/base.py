"""The seam of package sources: public methods wrap a source's own."""

from __future__ import annotations

import abc
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from repro.errors import PinError, ReproError
from repro.model.entry import LayerKind
from repro.model.lock import LockedPackage
from repro.model.observation import LeftOut, PackageRef
from repro.model.ports import PackageFile
from repro.primitives.texts import printable

T = TypeVar("T")


class PackageSource(abc.ABC):
    """One package manager's view of a host below ``root`` (``/``, or a tree in tests).

    Sources are asked for an owner in the order of ``rank``; the first answer counts.
    Whatever goes wrong inside becomes a PinError that names the source.
    """

    name: ClassVar[str]
    rank: ClassVar[int] = 50
    kind: ClassVar[LayerKind]
    notes: Path | None = None
    """A folder for what is slow to read and seldom changes; None: read it every time."""

    def __init__(self, root: str = "/") -> None:
        self.root = root.rstrip("/")

    def host(self, path: str) -> str:
        """Where a path of the examined system lies on this machine."""
        return self.root + path

    def usable(self) -> str | None:
        """None when this source can speak, else the reason why not."""
        return self._wrapped(self._usable)

    def owner(self, path: str) -> PackageRef | None:
        """The package that owns this absolute, symlink-free path."""
        return self._wrapped(lambda: self._owner(path))

    def files(self, package: PackageRef) -> Sequence[PackageFile]:
        """The package's files worth packing, sorted by path."""
        return self._wrapped(
            lambda: sorted(self._files(package), key=lambda file: os.fsencode(file.path))
        )

    def left_out(self, package: PackageRef) -> Sequence[LeftOut]:
        """What of the package is not packed, grouped by reason."""
        return self._wrapped(lambda: list(self._left_out(package)))

    def requires(self, package: PackageRef) -> Sequence[PackageRef]:
        """Installed packages whose code this one may load later."""
        return self._wrapped(lambda: list(self._requires(package)))

    def kind_of(self, package: PackageRef) -> LayerKind:
        """The layer of this package's files."""
        return self._wrapped(lambda: self._kind_of(package))

    def lock(self, package: PackageRef) -> LockedPackage:
        """The package's pin."""
        return self._wrapped(lambda: self._lock(package))

    def editable(self, package: PackageRef) -> str | None:
        """The folder of the source that a development install stands for, None for others."""
        return self._wrapped(lambda: self._editable(package))

    def always(self) -> Sequence[PackageRef]:
        """Packages that every image of this system holds."""
        return self._wrapped(lambda: list(self._always()))

    def environment(self, prefix: str) -> Sequence[PackageRef]:
        """Every package installed below a prefix, or that this program's package needs."""
        return self._wrapped(lambda: list(self._environment(prefix)))

    def status_stanza(self, package: PackageRef) -> bytes | None:
        """The entry of a package database that scanners of an image look for, if any."""
        return self._wrapped(lambda: self._status_stanza(package))

    def remark(self) -> str | None:
        """What this source's pins lack on this machine and why, None when they are as usual."""
        return self._wrapped(self._remark)

    @abc.abstractmethod
    def _usable(self) -> str | None: ...

    @abc.abstractmethod
    def _owner(self, path: str) -> PackageRef | None: ...

    @abc.abstractmethod
    def _files(self, package: PackageRef) -> Iterable[PackageFile]: ...

    @abc.abstractmethod
    def _lock(self, package: PackageRef) -> LockedPackage: ...

    def _left_out(self, package: PackageRef) -> Iterable[LeftOut]:
        return ()

    def _requires(self, package: PackageRef) -> Iterable[PackageRef]:
        return ()

    def _kind_of(self, package: PackageRef) -> LayerKind:
        return self.kind

    def _editable(self, package: PackageRef) -> str | None:
        return None

    def _always(self) -> Iterable[PackageRef]:
        return ()

    def _environment(self, prefix: str) -> Iterable[PackageRef]:
        return ()

    def _status_stanza(self, package: PackageRef) -> bytes | None:
        return None

    def _remark(self) -> str | None:
        return None

    def _wrapped(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except ReproError:
            raise
        except Exception as error:  # whatever a damaged database makes a parser raise
            raise PinError(
                f"the package source {self.name} cannot be read: {printable(_words(error), 150)}",
                hint="repair its database, or report this",
            ) from error


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, (OSError, ValueError)) else repr(error)
