"""What lies in a project folder: notebooks, build files, lock files, languages."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from repro.primitives.files import walk

CACHES = frozenset(
    {
        "__pycache__", ".ipynb_checkpoints", ".pytest_cache", ".mypy_cache", ".ruff_cache",
        ".cache", ".Rproj.user", ".Rhistory", ".RData", ".DS_Store", ".snakemake", ".git",
        ".repro",
    }
)  # fmt: skip
"""Names inside a project that never count as inputs to list, outputs or project files."""

_LANGUAGES = {
    ".py": "Python", ".r": "R", ".jl": "Julia", ".m": "Octave", ".c": "C", ".cpp": "C++",
    ".f90": "Fortran", ".sh": "shell", ".awk": "awk", ".js": "JavaScript", ".pl": "Perl",
    ".java": "Java",
}  # fmt: skip
_BUILD = ("Makefile", "makefile", "GNUmakefile", "Snakefile", "dvc.yaml", "CMakeLists.txt")
_LOCKS = (
    "uv.lock", "poetry.lock", "pdm.lock", "requirements.txt", "environment.yml", "renv.lock",
    "Manifest.toml", "package-lock.json", "pixi.lock", "pylock.toml", "codecheck.yml",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What was found; paths relative to the project. ``files`` counts plain files."""

    files: int
    notebooks: tuple[str, ...]
    builds: tuple[str, ...]
    locks: tuple[str, ...]
    languages: tuple[str, ...]
    scripts: tuple[str, ...]
    environments: tuple[str, ...]

    def sentence(self) -> str:
        """One line for people: ``42 files · 2 notebooks · Makefile · uv.lock``."""
        parts = [f"{self.files} file{'s' * (self.files != 1)}"]
        if self.notebooks:
            parts.append(f"{len(self.notebooks)} notebook{'s' * (len(self.notebooks) != 1)}")
        parts += [*self.builds, *self.locks, *self.languages]
        return " · ".join(parts)


def survey(root: str) -> Findings:
    """Look at the folder (environments and caches inside it are not entered)."""
    paths, environments = _plain_files(root)
    suffixes = {PurePosixPath(path).suffix.lower() for path in paths}
    tops = {path for path in paths if "/" not in path}
    scripts = [path for path in sorted(tops) if PurePosixPath(path).suffix.lower() in _LANGUAGES]
    return Findings(
        files=len(paths),
        notebooks=tuple(sorted(path for path in paths if path.endswith(".ipynb"))),
        builds=tuple(name for name in _BUILD if name in tops),
        locks=tuple(name for name in _LOCKS if name in tops),
        languages=tuple(dict.fromkeys(_LANGUAGES[s] for s in sorted(suffixes) if s in _LANGUAGES)),
        scripts=tuple(scripts),
        environments=tuple(environments),
    )


def is_cache(path: str) -> bool:
    """Whether a path relative to the project lies in a cache."""
    return any(part in CACHES or part.endswith(".pyc") for part in path.split("/"))


def _plain_files(root: str) -> tuple[list[str], list[str]]:
    paths: list[str] = []
    environments: list[str] = []
    skipped: set[str] = set()
    for path, status in _quiet_walk(root):
        parent = path.rpartition("/")[0]
        name = path.rpartition("/")[2]
        if parent in skipped:
            skipped.add(path)
        elif name in CACHES:
            skipped.add(path)
        elif name in ("pyvenv.cfg", "conda-meta") and parent:
            environments.append(parent)
            skipped.add(parent)
            paths = [kept for kept in paths if not kept.startswith(parent + "/")]
        elif name in ("node_modules", "renv"):
            environments.append(path)
            skipped.add(path)
        elif (status.st_mode & 0o170000) == 0o100000:
            paths.append(path)
    return paths, environments


def _quiet_walk(root: str) -> Iterable[tuple[str, os.stat_result]]:
    try:
        yield from walk(root)
    except OSError:
        # A folder without read permission: the survey is for people, the closure names it.
        return
