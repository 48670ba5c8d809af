"""What was seen of a run, and the closure that follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

from repro.model.entry import FileEntry
from repro.model.scope import Scope
from repro.model.step import StepSeen
from repro.primitives.frozen import field, frozen


class Change(Enum):
    """What a run did to a path that it touched for writing."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"


@frozen
class ProcessSeen:
    """One program execution. ``number`` counts from 0 in order of appearance.

    ``exe`` is the absolute path given to execve as the tracer resolved it; ``parent``
    is the number of the parent, when it was seen; ``step`` the name of its step.
    """

    number: int
    pid: int
    parent: int | None
    exe: str
    argv: tuple[str, ...]
    cwd: str
    step: str | None = None


@frozen
class Access:
    """One path the run touched.

    ``path`` is absolute and as the program spelled it, "." and empty segments removed
    (".." and symlinks are NOT resolved). ``read``: opened for reading or executed and
    existing before the run; ``written``: opened for writing, created, renamed to, removed;
    ``read_first``: its state before the run was read before anything wrote it;
    ``listed``: opened as a folder. ``first_reader`` and ``first_writer`` are process numbers.
    """

    path: str
    read: bool = False
    read_first: bool = False
    written: bool = False
    executed: bool = False
    listed: bool = False
    first_reader: int | None = None
    first_writer: int | None = None


@frozen
class Connection:
    """An attempt to reach something by network or a local socket."""

    process: int | None
    family: str
    address: str
    port: int | None = None

    def __str__(self) -> str:
        return self.address if self.port is None else f"{self.address}:{self.port}"


@frozen
class Observation:
    """Everything seen of a recorded run.

    ``tracer`` is ``notify``, ``strace`` or ``none``; ``capture`` is ``overlay`` or
    ``in-place``. ``limits`` names, in sentences, what was not observed. ``upper`` is the
    host folder that holds what the run wrote in the project (the tree below it mirrors
    the project root); ``before`` is the folder with first states of files overwritten in
    place (``in-place`` capture only). ``changes`` maps paths relative to the project root.
    ``outside`` leads from files elsewhere that the run changed (real paths) to copies of
    their state before it.
    """

    tracer: str
    capture: str
    steps: tuple[StepSeen, ...]
    processes: tuple[ProcessSeen, ...]
    accesses: Sequence[Access]
    connections: tuple[Connection, ...]
    changes: tuple[tuple[str, Change], ...]
    limits: tuple[str, ...]
    upper: str
    before: str | None = None
    outside: Mapping[str, str] = field(default_factory=dict)


@frozen
class PackageRef:
    """A package as its source knows it: ``key`` is unique inside ``source``.

    For ``apt`` the key is ``name:arch``; for ``pip`` ``site-dir|normalised-name``; for
    ``r`` the package folder; for ``interpreter`` the prefix.
    """

    source: str
    key: str
    name: str
    version: str


@frozen
class LeftOut:
    """Something that is not in the image, and why."""

    path: str
    reason: str


@frozen
class Closure:
    """What must be in the image: files, the packages they make whole, and what was left out.

    ``files`` are sorted by path and unique, parents need not be listed. ``warnings`` are
    for the author (a data file outside the project, a program that writes elsewhere).
    """

    files: tuple[FileEntry, ...]
    packages: tuple[PackageRef, ...]
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...] = ()
    scope: Scope = Scope.PACKAGES
