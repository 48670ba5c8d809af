"""What one room needs from another, as Protocols; workflows connect them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO, Protocol

from repro.model.guise import AS_USUAL, Guise
from repro.model.limits import NO_LIMITS, Limits
from repro.primitives.frozen import field, frozen

if TYPE_CHECKING:
    # For annotations only: a verification need not load what a snapshot observes and locks.
    from repro.model.entry import LayerKind
    from repro.model.lock import LockedPackage
    from repro.model.observation import LeftOut, PackageRef
    from repro.model.step import Cost
    from repro.primitives.digest import Digest


class BlobReader(Protocol):
    """Where blobs are read from; no unverified byte leaves it."""

    def open_blob(self, digest: Digest, size: int) -> BinaryIO:
        """A stream of the blob's bytes that raises ArchiveError at its end on a wrong digest."""
        ...


class BlobWriter(Protocol):
    """Where finished blobs are put."""

    def put_bytes(self, data: bytes) -> Digest:
        """Store a small blob; its digest."""
        ...


@frozen
class PackageFile:
    """One path of a package on the host (absolute); ``member`` is its name in the package."""

    path: str
    member: str


class PackageIndex(Protocol):
    """A package source as the closure sees it (implemented by pin.base.PackageSource)."""

    @property
    def name(self) -> str: ...  # noqa: D102

    def owner(self, path: str) -> PackageRef | None:
        """The installed package that owns this absolute, symlink-free host path."""
        ...

    def files(self, package: PackageRef) -> Sequence[PackageFile]:
        """The package's files worth packing, host paths, sorted."""
        ...

    def left_out(self, package: PackageRef) -> Sequence[LeftOut]:
        """What of the package is not packed (documentation, tests …), in groups."""
        ...

    def requires(self, package: PackageRef) -> Sequence[PackageRef]:
        """Installed packages that must come along because code may load them lazily."""
        ...

    def lock(self, package: PackageRef) -> LockedPackage:
        """The package's pin."""
        ...

    def usable(self) -> str | None:
        """None when the source can speak about this system, else why not."""
        ...

    def kind_of(self, package: PackageRef) -> LayerKind:
        """The layer of this package's files."""
        ...

    def editable(self, package: PackageRef) -> str | None:
        """The author's folder that a development install stands for, None for others."""
        ...

    def always(self) -> Sequence[PackageRef]:
        """Packages that every image of this system holds."""
        ...

    def environment(self, prefix: str) -> Sequence[PackageRef]:
        """Every package below a prefix, or that this program's package needs to run.

        For runs whose reads were not observed.
        """
        ...

    def status_stanza(self, package: PackageRef) -> bytes | None:
        """The entry of a package database that scanners of the image look for, if any."""
        ...


@frozen
class SandboxRequest:
    """One command to run sealed.

    ``layers`` are unpacked layer folders, lowest first. ``upper`` and ``work`` are empty
    or earlier-used folders on one file system: the thin writable layer. ``argv`` runs in
    ``cwd`` (absolute, inside) with exactly ``environment``. Output goes to the two file
    descriptors. ``timeout`` in seconds. ``network`` is ``none`` or ``host``. ``limits`` are
    those of all its processes together. ``started`` is told the number of the sandbox's first
    process, as this machine numbers it. ``guise`` is how the machine looks to it. ``terminal``
    tells that ``stdin`` is a terminal made for this command alone, to be its controlling one
    where the engine can give it that.
    """

    layers: Sequence[str]
    upper: str
    work: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    cwd: str
    stdout: int
    stderr: int
    stdin: int | None = None
    timeout: float | None = None
    network: str = "none"
    limits: Limits = NO_LIMITS
    started: Callable[[int], None] | None = None
    terminal: bool = False
    guise: Guise = AS_USUAL


@frozen
class JoinRequest:
    """One command more in a sandbox that runs, whose first process is ``init``.

    The other fields as in SandboxRequest. ``limits`` are those that the sandbox runs with.
    """

    init: int
    argv: Sequence[str]
    environment: Mapping[str, str]
    cwd: str
    stdout: int
    stderr: int
    stdin: int | None = None
    upper: str = ""
    limits: Limits = NO_LIMITS


@frozen
class SandboxResult:
    """How a sealed command ended: exit status (128+N for a signal) and what it used.

    ``reached`` names the limit (memory, pids, disk) that ended it or was refused to it.
    """

    exit: int
    cost: Cost
    timed_out: bool = False
    reached: str | None = None
    first_instruction: float | None = None


@frozen
class Seal:
    """What an engine enforces: each property with the mechanism, or why it does not.

    ``passed_over`` are the engines that stand before this one and do not work here, and why.
    """

    engine: str
    version: str
    enforced: Mapping[str, str]
    not_enforced: Mapping[str, str] = field(default_factory=dict)
    passed_over: Mapping[str, str] = field(default_factory=dict)


class Sandbox(Protocol):
    """A usable engine (implemented by runtime.base.Runtime)."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def guises(self) -> frozenset[str]:
        """Which fields of a Guise it can change."""
        ...

    def seal(self, network: str = "none", limits: Limits = NO_LIMITS) -> Seal:
        """What a run with this engine would enforce."""
        ...

    def run(self, request: SandboxRequest) -> SandboxResult:
        """Run to the end. Raises RuntimeUnavailable when the sandbox cannot be set up."""
        ...


class OutputFile(Protocol):
    """One output's bytes, opened safely by whoever holds them.

    ``size`` in bytes; ``link`` when the bytes are a symlink's target. Read-only here, so
    that frozen classes and digests taken on demand fit.
    """

    @property
    def size(self) -> int: ...  # noqa: D102

    @property
    def digest(self) -> Digest: ...  # noqa: D102

    @property
    def link(self) -> bool: ...  # noqa: D102

    def open(self) -> BinaryIO:
        """A fresh seekable stream of the bytes."""
        ...


OutputSet = Mapping[str, OutputFile]
"""Outputs by path relative to the project root."""

Names = Iterable[str]
