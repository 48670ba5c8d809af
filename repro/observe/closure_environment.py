"""Environments: which paths lie in one, and what a program's language loads from its own."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator

from repro.model.folders import MARKS, is_environment

_SITE = re.compile(r"/(?:site|dist)-packages(?:/|$)")
_R_LIBRARIES = ("/usr/lib/R", "/usr/local/lib/R", "/usr/share/R", "/etc/R")


class Environments:
    """Whether paths lie in a venv, conda prefix, node_modules, a depot (also in the project)."""

    def __init__(self) -> None:
        self._known: dict[str, bool] = {}

    def hold(self, path: str) -> bool:
        """Whether this path does; answers are kept per folder."""
        if path.endswith(("/site-packages", "/dist-packages")):
            return True
        folder = path.rpartition("/")[0]
        if not folder:
            return False
        known = self._known.get(folder)
        if known is None:
            marks = [name for name in MARKS if os.path.exists(f"{folder}/{name}")]
            known = (
                _SITE.search(folder) is not None
                or is_environment(folder, marks)
                or self.hold(folder)
            )
            self._known[folder] = known
        return known


def environment_folders(program: str, real: str, home: str) -> Iterator[str]:
    """Folders and files that a Python or R program loads its code from.

    ``program`` is the path that was called, ``real`` the same without links: a venv's
    python has its packages beside the one and its standard library beside the other.
    """
    name = real.rpartition("/")[2]
    if name.startswith("python"):
        for path in dict.fromkeys((program, real)):
            prefix = path.rpartition("/bin/")[0]
            for leaf in ("pyvenv.cfg", "lib64"):
                if os.path.lexists(f"{prefix}/{leaf}"):
                    yield f"{prefix}/{leaf}"
            yield from _python_folders(prefix, name)
        yield from _python_folders(f"{home}/.local", name)
    elif name in ("R", "Rscript"):
        yield from (folder for folder in _R_LIBRARIES if os.path.isdir(folder))
        yield from sorted(glob.glob(f"{glob.escape(home)}/R/*/*"))


def _python_folders(prefix: str, name: str) -> Iterator[str]:
    """``lib/python3.11`` for python3.11, ``lib/python3`` (Debian) for any."""
    for lib in ("lib", "local/lib"):
        for folder in sorted(glob.glob(f"{glob.escape(prefix)}/{lib}/python3*")):
            if folder.rpartition("/")[2] in (name, "python3") or "." not in name:
                yield folder


def files_below(folder: str) -> Iterator[str]:
    """Every file of a tree but cached bytecode and tests, in a fixed order.

    Links to folders are files here: what they lead to is not followed.
    """
    for at, folders, files in os.walk(folder):
        linked = [name for name in folders if os.path.islink(f"{at}/{name}")]
        folders[:] = sorted(set(folders) - {"__pycache__", "tests", "test"})
        for name in sorted((*files, *linked)):
            yield f"{at}/{name}"
