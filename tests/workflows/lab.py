"""A project folder and the command line, for whole rounds that a person would type."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from repro.runtime.choose import all_engines
from repro.store.archive import Archive


def need_an_engine() -> None:
    """Skip at home, fail in CI, where nothing can be rerun sealed."""
    reasons = [engine.usable() for engine in all_engines()]
    if None not in reasons:
        if os.environ.get("CI"):
            pytest.fail(f"no engine: {reasons}")
        pytest.skip(f"no engine: {reasons}")


class Lab:
    """``project`` below ``folder``; archives are written to ``archive``."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.project.mkdir()
        self.archive = folder / "a.repro"
        self.env = {**os.environ, "REPRO_CACHE": str(cache)}

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        """A file of the project (or beside it: ``../name``)."""
        place = Path(os.path.normpath(self.project / path))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)
        return place

    def repro(
        self, *argv: str, status: int | None = 0, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A command in the project folder; its exit status is checked, unless it is None."""
        done = subprocess.run(
            [sys.executable, "-m", "repro", *argv], cwd=self.project,
            env={**self.env, **(env or {})}, capture_output=True, text=True,
            errors="surrogateescape", stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert status in (None, done.returncode), done.stdout + done.stderr
        return done

    def snapshot(self, *words: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
        """A snapshot that reproduces identically in its self-test; its document."""
        done = self.repro("snapshot", "--json", "-o", str(self.archive), *words, env=env)
        made: dict[str, Any] = json.loads(done.stdout)
        assert made["self_test"]["outcome"] == "identical", done.stdout + done.stderr
        return made

    def verify(self) -> dict[str, Any]:
        """The archive verified: identical, and nothing that was not recorded."""
        found: dict[str, Any] = json.loads(self.repro("verify", "--json", str(self.archive)).stdout)
        assert {output["verdict"] for output in found["outputs"]} == {"identical"}, found["outputs"]
        return found

    def inspect(self) -> dict[str, Any]:
        """What the archive says of itself."""
        found: dict[str, Any] = json.loads(
            self.repro("inspect", "--json", str(self.archive)).stdout
        )
        return found

    def pins(self) -> dict[str, dict[str, Any]]:
        """The lock's packages by name."""
        return {pin["name"]: pin for pin in self.inspect()["pins"]["packages"]}

    def packed(self, *kinds: str) -> dict[str, str]:
        """The files of some kinds of layers: path to sha256."""
        with Archive.open(self.archive) as archive:
            version = archive.version(None)
            return {path: digest.hex for path, digest in archive.file_digests(version, kinds=kinds)}

    def results(self) -> dict[str, str]:
        """The recorded outputs, as text by path."""
        folder = self.folder / "results"
        self.repro("extract", "--force", "--results", str(self.archive), str(folder))
        return {
            str(path.relative_to(folder)): path.read_text()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
