"""What lies in a project folder: notebooks, build files, lock files, languages."""

from __future__ import annotations

import os
from pathlib import PurePosixPath

from repro.model import folders
from repro.primitives.frozen import frozen

CACHES = folders.CACHES | {".repro"}
"""Names inside a project that never count as inputs to list, outputs or project files:
caches, and what repro itself places there."""

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


@frozen
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


def plain_files(root: str) -> list[str]:
    """Plain files of the project, sorted; neither caches nor environments are entered."""
    return _plain_files(root)[0]


def is_cache(path: str) -> bool:
    """Whether a path relative to the project lies in a cache."""
    return any(part in CACHES or part.endswith(".pyc") for part in path.split("/"))


def _plain_files(root: str) -> tuple[list[str], list[str]]:
    """Plain files and environment folders, sorted; neither caches nor environments entered."""
    paths: list[str] = []
    environments: list[str] = []
    pending = [""]
    while pending:
        folder = pending.pop()
        entries = _entries(os.path.join(root, folder))
        names = {entry.name for entry in entries}
        if folder and folders.is_environment(folder, names):
            environments.append(folder)
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if is_cache(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append(path)
            elif entry.is_file(follow_symlinks=False):
                paths.append(path)
    return sorted(paths), sorted(environments)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        # A folder without read permission: the survey is for people, the closure names it.
        return []
