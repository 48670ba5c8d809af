"""What a run wrote in the project: found, put back, or brought to the author's folder."""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from repro.model.observation import Change, Observation
from repro.observe.inplace import copy_file, put_back
from repro.observe.overlay import Stamp, is_below, stamp
from repro.primitives.files import is_whiteout, remove_tree, walk

SCRATCH = "repro-record-"
"""How the folder that holds ``upper`` and the rest of one recording begins."""

_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")


def overlay_changes(
    root: str,
    upper: str,
    hidden: Collection[str],
    seed: Mapping[str, bytes],
    copied: Mapping[str, Stamp],
) -> list[tuple[str, Change]]:
    """Changes that an upper folder holds against the untouched project, sorted by path.

    Files and links only. A hidden path (or one below a hidden folder) that was not written
    again, a seeded file that is as it was, and one of ``copied`` (put there before the run)
    whose stamp is the same are none.
    """
    found: dict[str, Change] = {}
    for path, status in walk(upper):
        before = None if is_below(path, hidden) else _status(os.path.join(root, path))
        if is_whiteout(status):
            found.update(_gone(root, upper, path, hidden))
        elif stat.S_ISDIR(status.st_mode):
            # A folder in a file's place, or one that was removed and made again.
            if (before is not None and not stat.S_ISDIR(before.st_mode)) or _opaque(upper, path):
                found.update(_gone(root, upper, path, hidden))
        elif _is_kept(status):
            if path in seed and _same(os.path.join(upper, path), seed[path]):
                continue
            if copied.get(path) == stamp(status):
                continue
            if before is not None and stat.S_ISDIR(before.st_mode):
                found.update(_gone(root, upper, path, hidden))
                before = None
            if before is None:
                found[path] = Change.CREATED
            elif not _copied_up_alone(os.path.join(root, path), before, upper, path, status):
                found[path] = Change.CHANGED
    return sorted(found.items(), key=lambda pair: os.fsencode(pair[0]))


def _gone(
    root: str, upper: str, path: str, hidden: Collection[str]
) -> Iterator[tuple[str, Change]]:
    """The project's files at or below ``path`` that the upper folder does not hold."""
    place = os.path.join(root, path)
    status = _status(place)
    if status is None or is_below(path, hidden):
        return
    below = ((f"{path}/{each}", s) for each, s in walk(place)) if _is_folder(status) else ()
    for each, found in ((path, status), *below):
        if not _is_kept(found) or is_below(each, hidden):
            continue
        above = _status(os.path.join(upper, each))
        if above is None or not _is_kept(above):
            yield each, Change.DELETED


def _copied_up_alone(
    old: str, before: os.stat_result, upper: str, path: str, now: os.stat_result
) -> bool:
    """Whether overlayfs has copied a file and nothing changed it: a hard link was made to it,
    or it was opened for writing and left alone.
    """
    if before.st_mode != now.st_mode:
        return False
    if (before.st_size, before.st_mtime_ns) != (now.st_size, now.st_mtime_ns):
        return False
    with contextlib.suppress(OSError):
        if stat.S_ISLNK(now.st_mode):
            return os.readlink(old) == os.readlink(os.path.join(upper, path))
        return filecmp.cmp(old, os.path.join(upper, path), shallow=False)
    return False


def _opaque(upper: str, path: str) -> bool:
    for name in _OPAQUE:
        with contextlib.suppress(OSError):
            if os.getxattr(os.path.join(upper, path), name, follow_symlinks=False) == b"y":
                return True
    return False


def write_back(observation: Observation, root: str) -> None:
    """Bring what the run wrote to the author's folder, deletions included.

    The folder must be in its state before the run: as an overlay leaves it, or after
    ``restore``. Raises OSError.
    """
    deleted = [path for path, change in observation.changes if change is Change.DELETED]
    for path in deleted:
        _remove(os.path.join(root, path))
    for path in deleted:
        _remove_empty_parents(root, observation.upper, path)
    for path, change in observation.changes:
        source, target = os.path.join(observation.upper, path), os.path.join(root, path)
        if change is not Change.DELETED and os.path.lexists(source):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _remove(target)
            copy_file(source, target)


def restore(observation: Observation, root: str) -> None:
    """After an in-place run: put the folder back as it was. Nothing to do for an overlay."""
    if observation.before is None:
        return
    put_back(root, observation.before, [path for path, _ in observation.changes])


def discard(observation: Observation) -> None:
    """Remove the scratch trees of an observation (overlay leaves folders of mode 000)."""
    own = Path(observation.upper).parent
    if own.name.startswith(SCRATCH):
        remove_tree(own)
        return
    for folder in (observation.upper, observation.before):
        if folder is not None:
            remove_tree(Path(folder))


def _remove_empty_parents(root: str, upper: str, path: str) -> None:
    """Folders that the run removed together with their last file."""
    while "/" in path:
        path = path.rpartition("/")[0]
        if os.path.isdir(os.path.join(upper, path)):
            return
        with contextlib.suppress(OSError):
            os.rmdir(os.path.join(root, path))


def _same(path: str, content: bytes) -> bool:
    with contextlib.suppress(OSError):
        return Path(path).read_bytes() == content
    return False


def _is_folder(status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode)


def _is_kept(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)


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
