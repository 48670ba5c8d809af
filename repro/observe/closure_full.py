"""Which environments a run used, for snapshots that take them whole (--full)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

_LIBRARY = re.compile(
    r"^(/.*?/(?:site|dist)-packages|/usr/(?:local/)?lib/R/(?:site-)?library|/.*?/node_modules)/"
)


def environments_in_use(paths: Iterable[str], packages: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Folders of packages that the run read from: a venv or conda prefix whole, else the library.

    ``packages`` are source and key of those found so far; an R package's key is its folder.
    """
    found = {match.group(1) for path in paths if (match := _LIBRARY.match(path))}
    found |= {key.rpartition("/")[0] for source, key in packages if source == "r"}
    folders = {_prefix(library) or library for library in found}
    yield from sorted(folders, key=os.fsencode)


def _prefix(library: str) -> str | None:
    """The venv or conda prefix above a library; None for the system's own."""
    head, lib, _ = library.rpartition("/lib/")
    marks = ("pyvenv.cfg", "conda-meta")
    return head if lib and any(os.path.exists(f"{head}/{mark}") for mark in marks) else None
