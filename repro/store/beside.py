"""What lies in the cache beside the unpacked layers; all of it can be made or fetched again.

packed   layers as they were packed, for the next snapshot (``image/reuse.py``)
pulled, fattened   whole archives (``workflows/copies.py``)
remote   files of ``inputs.remote`` and unfinished ones (``store/downloads.py``)
pulls    blobs that an interrupted pull left
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from repro.primitives.frozen import frozen
from repro.store.pins import Pins

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_PART = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_NAME = re.compile("[0-9a-f]{64}")
_YOUNG = 60.0
"""Seconds for which a file that nothing names yet counts as one that is being written."""

_HELD: list[int] = []
"""Locks of this process, until it ends."""


@frozen
class Item:
    """Files that stand or fall together: bytes on disk, last use (seconds since 1970)."""

    kind: str
    size: int
    used: float
    files: tuple[Path, ...]


def hold(archive: Path) -> None:
    """Keep ``gc`` away from an archive of the cache for as long as this process lives."""
    with contextlib.suppress(OSError):
        fd = os.open(archive, _READ)
        _HELD.append(fd)
        fcntl.flock(fd, fcntl.LOCK_SH)


class Beside:
    """The folders below a cache's ``root``; a missing one is empty."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def items(self) -> list[Item]:
        """Everything that could be removed or is in use just now."""
        found: list[Item] = []
        for kind, (look, _) in _KINDS.items():
            folder = self._root / kind
            with contextlib.suppress(OSError):
                if folder.is_dir() and not folder.is_symlink():
                    found += look(kind, folder)
        return found

    def remove(self, item: Item) -> int:
        """The bytes set free; 0 for what a process uses or writes, or a kept container needs."""
        if item.kind in ("pulled", "fattened"):
            if not Pins(self._root).archives().isdisjoint(map(str, item.files)):
                return 0
        try:
            with _KINDS[item.kind][1](item):
                for path in item.files:
                    path.unlink(missing_ok=True)
        except OSError:  # BlockingIOError: in use
            return 0
        return item.size


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.lstat().st_blocks * 512
    return 0


def _item(kind: str, *files: Path, used: float | None = None) -> Item:
    moment = files[0].stat().st_mtime if used is None else used
    return Item(kind=kind, size=sum(map(_size, files)), used=moment, files=files)


def _packed(kind: str, folder: Path) -> Iterator[Item]:
    """Each note with the blobs that no note used later names; blobs of no note."""
    left = {path.name: path for path in folder.iterdir() if path.suffix != ".json"}
    notes = sorted(folder.glob("*.json"), key=lambda note: note.stat().st_mtime, reverse=True)
    for note in notes:
        named = dict.fromkeys(_NAME.findall(note.read_text(errors="replace")))
        blobs = [left.pop(name) for name in named if name in left]
        yield _item(kind, note, *blobs)
    for path in left.values():
        if time.time() - path.stat().st_ctime > _YOUNG:
            yield _item(kind, path)


def _archives(kind: str, folder: Path) -> Iterator[Item]:
    yield from (_item(kind, path) for path in folder.glob("*.repro") if path.is_file())


def _remote(kind: str, folder: Path) -> Iterator[Item]:
    for name in sorted({path.name.partition(".")[0] for path in folder.iterdir()}):
        files = [path for end in ("", ".part") if (path := folder / f"{name}{end}").is_file()]
        if _NAME.fullmatch(name) and files:
            yield _item(kind, *files)


def _pulls(kind: str, folder: Path) -> Iterator[Item]:
    files = [path for path in folder.iterdir() if path.is_file() and not path.is_symlink()]
    if files:
        yield _item(kind, *files, used=max(path.stat().st_mtime for path in files))


@contextlib.contextmanager
def _alone(path: Path, flags: int) -> Iterator[None]:
    """A lock that no other process has. Raises OSError when one does."""
    fd = os.open(path, flags, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)


def _no_lock(item: Item) -> contextlib.AbstractContextManager[None]:
    # A snapshot links a blob before it uses it, and packs again when that fails.
    return contextlib.nullcontext()


def _archive_lock(item: Item) -> contextlib.AbstractContextManager[None]:
    return _alone(item.files[0], _READ)


@contextlib.contextmanager
def _remote_lock(item: Item) -> Iterator[None]:
    """Whoever brings the file holds its part file."""
    part = item.files[0].with_suffix(".part")
    with _alone(part, _PART):
        yield
        part.unlink(missing_ok=True)


def _pulls_lock(item: Item) -> contextlib.AbstractContextManager[None]:
    return _alone(item.files[0].parent, _READ | os.O_DIRECTORY)


_Look = Callable[[str, Path], Iterator[Item]]
_Lock = Callable[[Item], contextlib.AbstractContextManager[None]]
_KINDS: dict[str, tuple[_Look, _Lock]] = {
    "packed": (_packed, _no_lock),
    "pulled": (_archives, _archive_lock),
    "fattened": (_archives, _archive_lock),
    "remote": (_remote, _remote_lock),
    "pulls": (_pulls, _pulls_lock),
}
KINDS = tuple(_KINDS)
"""The folders that count against the cache's limit beside the layers."""
