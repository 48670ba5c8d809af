"""What a writable layer changed: read from an overlay's upper folder and the layers below it.

Documentation/filesystems/overlayfs.rst: a character device 0:0 is a removed name, the
attribute ``user.overlay.opaque`` on a folder hides what lies below it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path

from repro.errors import StorageError
from repro.primitives.files import is_whiteout, open_inside
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable

_OPAQUE = "user.overlay.opaque"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_FILE = os.O_RDONLY | os.O_NONBLOCK
_PIECE = 1 << 20


class Kind(Enum):
    """As ``docker diff`` writes it."""

    ADDED = "A"
    CHANGED = "C"
    DELETED = "D"


@frozen
class Change:
    """One absolute path. ``status`` is that of the new state, None for what was deleted."""

    kind: Kind
    path: str
    status: os.stat_result | None = None


class Lower:
    """The merged view of unpacked layers, lowest first; no link is followed."""

    def __init__(self, layers: Sequence[Path]) -> None:
        self._top = tuple(str(layer) for layer in reversed(layers))
        self._last: tuple[str, tuple[str, ...]] = ("", self._top)

    def find(self, path: str) -> str | None:
        """Where a relative path lies, None when the image does not show it."""
        folder, _, name = path.rpartition("/")
        for parent in self._folders(folder):
            place = f"{parent}/{name}"
            status = _status(place)
            if status is not None:
                return None if is_whiteout(status) else place
        return None

    def names(self, path: str) -> list[str]:
        """The names in a folder, sorted as bytes."""
        seen: dict[str, bool] = {}
        for folder in self._folders(path):
            for name in os.listdir(folder):
                if name not in seen:
                    status = _status(f"{folder}/{name}")
                    seen[name] = status is not None and not is_whiteout(status)
        return sorted((name for name, shown in seen.items() if shown), key=os.fsencode)

    def _folders(self, path: str) -> tuple[str, ...]:
        """The folders that are merged at a path, highest first."""
        if not path:
            return self._top
        if self._last[0] == path:
            return self._last[1]
        folders = self._top
        for name in path.split("/"):
            folders = tuple(self._step(folders, name))
        self._last = (path, folders)
        return folders

    def _step(self, folders: Sequence[str], name: str) -> Iterator[str]:
        for folder in folders:
            place = f"{folder}/{name}"
            status = _status(place)
            if status is None:
                continue
            if not stat.S_ISDIR(status.st_mode):
                return  # a file, a link or a removed name: nothing below shows
            yield place
            if _is_opaque(place):
                return


def changes(upper: Path, lower: Lower) -> list[Change]:
    """What the layer changed, sorted by path.

    What was only opened for writing, or was written as it was before, is no change; nor are
    times. A folder that became a file, or a file a folder, is changed; what lay in it is not
    listed again. Raises StorageError when the layer cannot be read.
    """
    root = os.open(upper, _FOLDER)
    try:
        found = list(_walk(root, lower))
    except OSError as error:
        raise StorageError(
            f"{printable(str(error.filename or upper))} in the writable layer: {error.strerror}",
            hint="open it inside: repro container exec NAME -- chmod u+rwx PATH",
            slug="container-layer",
        ) from None
    finally:
        os.close(root)
    return sorted(found, key=lambda change: os.fsencode(change.path))


def _walk(root: int, lower: Lower) -> Iterator[Change]:
    pending: list[tuple[str, bool, bool]] = [("", True, False)]
    while pending:
        path, known, opaque = pending.pop()
        fd = open_inside(root, path or ".", _FOLDER)
        try:
            opaque = opaque or _is_opaque(fd)
            with os.scandir(fd) as entries:
                found = {e.name: e.stat(follow_symlinks=False) for e in entries}
        finally:
            os.close(fd)
        if known and opaque:
            for name in lower.names(path):
                if name not in found:
                    yield Change(kind=Kind.DELETED, path=_absolute(path, name))
        for name, status in found.items():
            inner = f"{path}/{name}" if path else name
            before = lower.find(inner) if known else None
            yield from _entry(root, inner, status, before)
            if stat.S_ISDIR(status.st_mode):
                pending.append((inner, before is not None and _is_folder(before), opaque))


def _entry(root: int, path: str, status: os.stat_result, before: str | None) -> Iterator[Change]:
    if is_whiteout(status):
        if before is not None:
            yield Change(kind=Kind.DELETED, path=f"/{path}")
    elif before is None:
        yield Change(kind=Kind.ADDED, path=f"/{path}", status=status)
    elif not _same(root, path, status, before):
        yield Change(kind=Kind.CHANGED, path=f"/{path}", status=status)


def _same(root: int, path: str, status: os.stat_result, before: str) -> bool:
    old = os.lstat(before)
    if status.st_mode != old.st_mode:
        return False
    if stat.S_ISDIR(status.st_mode):
        return True
    if stat.S_ISLNK(status.st_mode):
        return _link(root, path) == os.readlink(os.fsencode(before))
    return stat.S_ISREG(status.st_mode) and status.st_size == old.st_size and _equal(
        root, path, before
    )  # fmt: skip


def _link(root: int, path: str) -> bytes:
    folder, _, name = path.rpartition("/")
    fd = open_inside(root, folder or ".", _FOLDER)
    try:
        return os.readlink(os.fsencode(name), dir_fd=fd)
    finally:
        os.close(fd)


def _equal(root: int, path: str, before: str) -> bool:
    with open(open_inside(root, path, _FILE), "rb") as new, open(before, "rb") as old:
        while True:
            one, other = new.read(_PIECE), old.read(_PIECE)
            if one != other:
                return False
            if not one:
                return True


def _status(path: str) -> os.stat_result | None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return os.lstat(path)
    return None


def _is_folder(path: str) -> bool:
    return stat.S_ISDIR(os.lstat(path).st_mode)


def _is_opaque(folder: str | int) -> bool:
    with contextlib.suppress(OSError):
        return os.getxattr(folder, _OPAQUE) == b"y"
    return False


def _absolute(folder: str, name: str) -> str:
    return f"/{folder}/{name}" if folder else f"/{name}"
