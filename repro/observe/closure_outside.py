"""What is said of files that a run read outside the project."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from repro.primitives.texts import printable

TEMPORARY = ("/tmp/", "/var/tmp/", "/dev/shm/", "/run/")


def outside_warnings(paths: Collection[str], home: str) -> Iterator[str]:
    """One sentence per folder of files that were read outside the project."""
    groups: dict[str, list[str]] = {}
    for path in sorted(paths, key=os.fsencode):
        depth = home.rstrip("/").count("/") + 2 if path.startswith(home + "/") else 3
        top = "/".join(path.split("/")[:depth])
        groups.setdefault(top if top != path else path.rpartition("/")[0], []).append(path)
    for top, found in groups.items():
        what = printable(found[0]) if len(found) == 1 else f"{len(found)} files in {printable(top)}"
        verb = "was" if len(found) == 1 else "were"
        where = "a temporary folder" if found[0].startswith(TEMPORARY) else "outside the project"
        yield f"{what} {verb} read from {where}; packed as data"


def plain_files(folder: str) -> list[str]:
    """What lies in a folder and is no folder itself, in a fixed order."""
    with os.scandir(folder) as entries:
        found = [entry.path for entry in entries if not entry.is_dir(follow_symlinks=False)]
    return sorted(found, key=os.fsencode)
