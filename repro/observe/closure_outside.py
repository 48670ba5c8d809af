"""What is said of files that a run read outside the project."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator

from repro.model.observation import Observation
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


def data_folders(paths: Iterable[str], home: str, project: str) -> set[str]:
    """The folders that hold these files at any depth, but neither home, the project, a temporary
    place, what hides in home, nor anything that holds one of these."""
    found: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder.count("/") > 1 and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return {
        folder
        for folder in found
        if not any(f"{place.rstrip('/')}/".startswith(f"{folder}/") for place in (home, project))
        and not folder.startswith(f"{home}/.")
        and f"{folder}/" not in TEMPORARY
    }


def folders_in(folder: str) -> list[str]:
    """The folders directly in a folder, in a fixed order."""
    with os.scandir(folder) as entries:
        found = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    return sorted(found, key=os.fsencode)


def plain_files(folder: str) -> list[str]:
    """What lies in a folder and is no folder itself, in a fixed order."""
    with os.scandir(folder) as entries:
        found = [entry.path for entry in entries if not entry.is_dir(follow_symlinks=False)]
    return sorted(found, key=os.fsencode)


def written_warnings(written: Iterable[str], changed: Collection[str], root: str) -> Iterator[str]:
    """What a run wrote elsewhere (real paths; ``changed`` were there before it).

    Temporary files and caches are named only when they were there before.
    """
    made = [
        path
        for path in dict.fromkeys(written)
        if path not in changed
        and not path.startswith((root + "/", *TEMPORARY, "/dev/"))
        and "/.cache/" not in path
    ]
    if made:
        yield f"the run also wrote outside the project (not recorded): {_some(made)}"
    if changed:
        yield (
            f"the run changed files outside the project: {_some(sorted(changed))}; the archive "
            "holds them as they were before, the changes stay on this machine"
        )


def unkept_warnings(observation: Observation, root: str) -> Iterator[str]:
    """Files elsewhere that were read and then changed, where no tracer could stop the change."""
    if observation.tracer == "notify":
        return
    places = {
        os.path.realpath(access.path)
        for access in observation.accesses
        if access.read_first and access.written
    }
    found = sorted(path for path in places if not path.startswith((root + "/", "/dev/")))
    if found:
        yield (
            f"the run read and changed files outside the project: {_some(found)}; the tracer "
            f"{observation.tracer} cannot keep their state before, they are packed as the run "
            "left them"
        )


def _some(paths: Collection[str]) -> str:
    shown = ", ".join(printable(path, 80) for path in list(paths)[:3])
    return shown + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
