"""A small project that is recorded: what the tests of the recorder share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from repro.model.observation import Access, Change, Observation
from repro.model.step import Step
from repro.observe.capture import discard
from repro.observe.recorder import RecordRequest, record

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
PYTHON = os.path.realpath(sys.executable)


def need(program: str) -> str:
    """The program's path; without it skip at home and fail in CI."""
    found = shutil.which(program, path="/usr/bin:/bin")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{program} is missing")
        pytest.skip(f"{program} is not installed")
    return found


def compiled(folder: Path, source: str, *options: str) -> str:
    """A C program, compiled."""
    compiler = need("cc")
    target = folder / "program"
    subprocess.run(
        [compiler, "-O0", "-o", target, "-x", "c", "-", *options], input=source.encode(), check=True
    )
    return str(target)


class Lab:
    """A project folder and a scratch folder; ``run`` records one command in it."""

    def __init__(self, folder: Path, files: Mapping[str, str | bytes] | None = None) -> None:
        self.folder = Path(os.path.realpath(folder))
        self.root, self.scratch = self.folder / "project", self.folder / "scratch"
        self.root.mkdir()
        self.scratch.mkdir()
        self.seen: list[Observation] = []
        for name, content in (files or {}).items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def record(self, *steps: Step, **changes: object) -> Observation:
        settings: dict[str, object] = {
            "root": str(self.root), "steps": steps, "environment": ENVIRONMENT,
            "scratch": str(self.scratch), **changes,
        }  # fmt: skip
        seen = record(RecordRequest(**settings))  # type: ignore[arg-type]
        self.seen.append(seen)
        return seen

    def run(self, *argv: str, timeout: float | None = 60, **changes: object) -> Observation:
        return self.record(Step(name="step", argv=argv, timeout=timeout), **changes)

    def sh(self, script: str, **changes: object) -> Observation:
        seen = self.run("/bin/sh", "-ec", script, **changes)
        assert seen.steps[-1].exit == 0, seen.steps[-1].tail
        return seen

    def python(self, script: str, **changes: object) -> Observation:
        seen = self.run(PYTHON, "-IBc", script, **changes)
        assert seen.steps[-1].exit == 0, seen.steps[-1].tail
        return seen

    def tree(self) -> dict[str, str]:
        """Everything in the project: kind, mode, time and content."""
        return tree(self.root)

    def close(self) -> None:
        for seen in self.seen:
            discard(seen)


def tree(root: Path) -> dict[str, str]:
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        what = oct(status.st_mode)
        if path.is_symlink():
            what += f" -> {os.readlink(path)}"
        elif path.is_file():
            what += f" {status.st_mtime_ns} {path.read_bytes()!r}"
        found[str(path.relative_to(root))] = what
    return found


def access(seen: Observation, path: str | Path) -> Access | None:
    """What is noted of one path."""
    return next((each for each in seen.accesses if each.path == str(path)), None)


def got(seen: Observation, path: str | Path) -> Access:
    found = access(seen, path)
    assert found is not None, f"{path} was not seen"
    return found


def changes(seen: Observation) -> dict[str, Change]:
    return dict(seen.changes)
