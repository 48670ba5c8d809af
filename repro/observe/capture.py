"""What a run wrote in the project: found, put back, or brought to the author's folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Collection, Mapping
from pathlib import Path

from repro.model.observation import Change, Observation
from repro.observe.overlay import Stamp, stamp
from repro.primitives.files import walk


def overlay_changes(
    root: str,
    upper: str,
    hidden: Collection[str],
    seed: Mapping[str, bytes],
    copied: Mapping[str, Stamp],
) -> list[tuple[str, Change]]:
    """Changes that an upper folder holds against the untouched project, sorted by path.

    None are: a hidden path that was not written again, a seeded file that is as it was, and
    one of ``copied`` whose stamp is the same.
    """
    found: list[tuple[str, Change]] = []
    for path, status in walk(upper):
        before = None if path in hidden else _status(os.path.join(root, path))
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            if path not in hidden:
                found.append((path, Change.DELETED))
            continue
        if stat.S_ISDIR(status.st_mode):
            continue
        if copied.get(path) == stamp(status):
            continue
        if path in seed and _same(os.path.join(upper, path), seed[path]):
            continue
        found.append((path, Change.CREATED if before is None else Change.CHANGED))
    return sorted(found, key=lambda pair: os.fsencode(pair[0]))


def write_back(observation: Observation, root: str) -> None:
    """Bring what the run wrote to the author's folder, deletions included.

    After an in-place capture this must be called before ``restore``'s effect is wanted
    away: it copies from the upper folder all the same.
    """
    for path, change in observation.changes:
        target = os.path.join(root, path)
        if change is Change.DELETED:
            _remove(target)
            continue
        source = os.path.join(observation.upper, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _remove(target)
        if os.path.islink(source):
            os.symlink(os.readlink(source), target)
        elif os.path.isfile(source):
            shutil.copy2(source, target)


def restore(observation: Observation, root: str) -> None:
    """After an in-place run: put the folder back as it was. Nothing to do for an overlay."""
    if observation.before is None:
        return
    put_back(root, observation.before, [path for path, _ in observation.changes])


def put_back(root: str, before: str, changed: Collection[str]) -> None:
    """Remove what a run made in place and return the first states kept in ``before``."""
    for path in sorted(changed, key=len, reverse=True):
        _remove(os.path.join(root, path))
    for path, status in walk(before):
        source, target = os.path.join(before, path), os.path.join(root, path)
        if stat.S_ISDIR(status.st_mode):
            os.makedirs(target, exist_ok=True)
        else:
            _remove(target)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    _remove_new_folders(root, before)


def folders_file(before: str) -> str:
    """Where the folders that were there before an in-place run are listed."""
    return before + ".folders"


def _remove_new_folders(root: str, before: str) -> None:
    with open(folders_file(before), "rb") as stream:
        known = {os.fsdecode(path) for path in stream.read().split(b"\0")}
    folders = [path for path, status in walk(root) if stat.S_ISDIR(status.st_mode)]
    for path in sorted(folders, key=len, reverse=True):
        if path not in known:
            with contextlib.suppress(OSError):
                os.rmdir(os.path.join(root, path))


def discard(observation: Observation) -> None:
    """Remove the scratch trees of an observation (overlay leaves folders of mode 000)."""
    for folder in (observation.upper, observation.before):
        if folder is not None:
            remove_locked(Path(folder))


def remove_locked(folder: Path) -> None:
    """Remove a tree in which folders may lack permissions."""
    for path, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            os.chmod(path, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _same(path: str, content: bytes) -> bool:
    with contextlib.suppress(OSError):
        return Path(path).read_bytes() == content
    return False


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _remove(path: str) -> None:
    status = _status(path)
    if status is None:
        return
    if stat.S_ISDIR(status.st_mode):
        shutil.rmtree(path, ignore_errors=True)
    else:
        os.unlink(path)
