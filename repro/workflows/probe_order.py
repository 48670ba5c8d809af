"""Another directory order for a rerun, without copying a file.

overlayfs lists a folder that several layers hold in the order of the lowest one. An extra
lowest layer of empty files with the same names therefore decides the order alone, and its
content is never seen: each file is found in the layers above it. tmpfs lists files in the
order of their making, so there the order can be chosen.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from repro.primitives.files import is_whiteout, remove_tree
from repro.primitives.frozen import frozen

MOST = 50_000
"""Names above which it is not tried: each takes a kilobyte of memory."""


@frozen
class Order:
    """``layer`` is the extra lowest layer, None when there is none, with ``why``. ``folders``
    are listed in another order under it."""

    layer: str | None
    folders: int = 0
    why: str = ""


@contextlib.contextmanager
def other_order(layers: Sequence[str], root: str, places: Sequence[str]) -> Iterator[Order]:
    """A layer under which the project's packed folders list their files the other way round.

    ``layers`` are those that hold the project, lowest first; ``root`` is the project inside;
    ``places`` are folders, perhaps on tmpfs, where the layer can be made.
    """
    names = listed(layers, root)
    several = {path: order for path, order in names.items() if len(order) > 1}
    count = sum(map(len, names.values()))
    if not several:
        yield Order(layer=None, why="no folder of the project holds two files")
        return
    if count > MOST:
        yield Order(layer=None, why=f"the project holds more than {MOST} files")
        return
    for place in places:
        with contextlib.ExitStack() as stack:
            try:
                _sweep(Path(place))
                folder = tempfile.mkdtemp(prefix=f"repro-order-{os.getpid()}-", dir=place)
            except OSError:
                continue
            stack.callback(remove_tree, Path(folder))
            changed = _made(folder, root, names)
            if changed:
                yield Order(layer=folder, folders=changed)
                return
    yield Order(layer=None, why="no folder here lists files in the order of their making (tmpfs)")


def listed(layers: Sequence[str], root: str) -> dict[str, list[tuple[str, bool]]]:
    """Each folder of the project (relative, "" the root) with its names in the order in which
    a sandbox lists them, and whether each is a folder. Links are not followed."""
    found: dict[str, list[tuple[str, bool]]] = {}
    pending = [""]
    while pending and sum(map(len, found.values())) <= MOST:
        path = pending.pop()
        kinds: dict[str, bool | None] = {}
        for layer in layers:
            for name, kind in _names(os.path.join(layer, root.lstrip("/"), path)):
                kinds[name] = kind  # keeps its place: the lowest layer's order
        order = [(name, kind) for name, kind in kinds.items() if kind is not None]
        if order:
            found[path] = order
        pending += [f"{path}/{name}" if path else name for name, kind in order if kind]
    return found


def _sweep(place: Path) -> None:
    """Remove what a probe of this user that was killed left in memory."""
    for folder in place.glob("repro-order-*"):
        match = re.fullmatch(r"repro-order-(\d+)-[a-z0-9_]+", folder.name)
        with contextlib.suppress(OSError):
            own = folder.lstat().st_uid == os.geteuid() and not folder.is_symlink()
            if match and own and not Path(f"/proc/{match.group(1)}").exists():
                remove_tree(folder)


def _names(folder: str) -> Iterator[tuple[str, bool | None]]:
    """Names in the order of the disk; None as the kind of what is hidden."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                yield entry.name, None if is_whiteout(status) else stat.S_ISDIR(status.st_mode)
    finally:
        os.close(fd)


def _made(folder: str, root: str, names: Mapping[str, list[tuple[str, bool]]]) -> int:
    """Fill the layer; how many folders are listed otherwise than before."""
    os.chmod(folder, 0o755)
    os.makedirs(os.path.join(folder, root.lstrip("/")), mode=0o755)
    changed = 0
    for path, order in names.items():
        place = os.path.join(folder, root.lstrip("/"), path)
        usual = [name for name, _ in order]
        _fill(place, order)
        if len(usual) > 1 and os.listdir(place) == usual:
            _empty(place, order)
            _fill(place, list(reversed(order)))
        changed += os.listdir(place) != usual
    return changed


def _fill(place: str, order: Sequence[tuple[str, bool]]) -> None:
    for name, is_folder in order:
        path = os.path.join(place, name)
        if is_folder:
            os.mkdir(path, 0o755)
        else:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))


def _empty(place: str, order: Sequence[tuple[str, bool]]) -> None:
    for name, is_folder in order:
        path = os.path.join(place, name)
        if is_folder:
            os.rmdir(path)
        else:
            os.unlink(path)
