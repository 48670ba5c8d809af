"""A project and things around it in a folder, and the observation of an imagined run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path

from repro.model.entry import FileEntry
from repro.model.observation import Access, Closure, Observation, PackageRef, ProcessSeen
from repro.model.ports import PackageIndex
from repro.observe.closure import close
from repro.pin.sources.interpreter import Interpreter
from repro.pin.sources.pip import Pip
from repro.pin.sources.rlang import Rlang
from tests.unit.pin.fake_host import FakeHost


def matches(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(path, pattern) for pattern in patterns)


class Sample(FakeHost):
    """``/project``, ``/home`` and what else is written, all below one folder of the test."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.project = f"{self.root}/project"
        self.home = f"{self.root}/home"
        self.upper = f"{self.root}/upper"
        for each in (self.project, self.home, self.upper):
            os.mkdir(each)
        self.accesses: list[Access] = []
        self.outputs: set[str] = set()
        self.processes: list[ProcessSeen] = []
        self.tracer = "notify"
        self.indexes: list[PackageIndex] = [Pip(), Rlang(), Interpreter()]

    def read(self, *paths: str) -> None:
        """Read by the run before anything wrote it; paths as in ``write``, or absolute ones."""
        self.accesses += [
            Access(path=self.absolute(path), read=True, read_first=True) for path in paths
        ]

    def wrote(self, *paths: str, read: bool = False) -> None:
        self.accesses += [
            Access(path=self.absolute(path), written=True, read=read) for path in paths
        ]

    def listed(self, *paths: str) -> None:
        self.accesses += [Access(path=self.absolute(path), listed=True) for path in paths]

    def absolute(self, path: str) -> str:
        return path if path.startswith(("/etc/", "/usr/", "/proc/", "/lib")) else self.root + path

    def started(self, exe: str) -> None:
        self.processes.append(
            ProcessSeen(
                number=len(self.processes), pid=1, parent=None, exe=self.absolute(exe),
                argv=(exe,), cwd=self.project,
            )
        )  # fmt: skip

    def close(
        self, *, exclude: Sequence[str] = (), include: Sequence[str] = (),
        folders: Sequence[str] = (),
    ) -> Closure:  # fmt: skip
        observation = Observation(
            tracer=self.tracer, capture="overlay", steps=(), processes=tuple(self.processes),
            accesses=tuple(sorted(self.accesses, key=lambda a: os.fsencode(a.path))),
            connections=(), changes=(), limits=(), upper=self.upper,
        )  # fmt: skip
        return close(
            observation, root=self.project, home=self.home, indexes=self.indexes,
            outputs=self.outputs, exclude=exclude, include=include, folders=folders,
            matches=matches,
        )  # fmt: skip

    def entries(self, closure: Closure) -> dict[str, FileEntry]:
        """Entries below the test's folder, by their path there."""
        return {
            entry.path[len(self.root) :]: entry
            for entry in closure.files
            if entry.path.startswith(self.root + "/")
        }

    def entry(self, closure: Closure, path: str) -> FileEntry:
        found = {entry.path: entry for entry in closure.files}
        return found[self.absolute(path)]


def names(packages: Iterable[PackageRef]) -> list[str]:
    return [package.name for package in packages]
