"""Whose turn it is to replace an archive: one process after the other, nobody loses a version."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from repro.errors import StorageError
from repro.primitives.events import Event, EventKind, Observer, silent
from repro.primitives.texts import printable

_FLAGS = os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


@contextlib.contextmanager
def turn(path: Path, observer: Observer = silent) -> Iterator[Path]:
    """Hold the right to replace the archive at ``path``; gives its place with links resolved.

    Who reads the archive, to write it with one version more, does so inside. The lock
    (flock(2)) is on a file beside the archive, since the archive itself is replaced under
    it; that file is removed at the end, and what a killed process left of it, and of a
    half-written archive, is cleared by the next. A wait is said to ``observer``. Raises
    StorageError when the folder cannot be written.
    """
    place = Path(os.path.realpath(path))
    lock = place.with_name(f".{place.name[:100]}.lock")
    try:
        fd = _locked(lock, place, observer)
    except OSError as error:
        raise StorageError(
            f"{printable(str(lock))} cannot be locked: {error.strerror}",
            hint="an archive is replaced whole: its folder must be writable",
        ) from None
    try:
        _clear(place)
        yield place
    finally:
        # Removed while it is held: who waits for it looks whether it is still there.
        with contextlib.suppress(OSError):
            os.unlink(lock)
        os.close(fd)


def _locked(lock: Path, place: Path, observer: Observer) -> int:
    told = False
    while True:
        fd = _open(lock)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    _tell(f"another process writes {printable(place.name, 80)}: waiting", observer)
                told = True
                fcntl.flock(fd, fcntl.LOCK_EX)
            if _is_there(fd, lock):
                return fd
        except OSError as error:
            if error.errno in _NO_LOCKS:
                _tell("this file system has no locks: let no other process write it", observer)
                return fd
            os.close(fd)
            raise
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _open(lock: Path) -> int:
    try:
        return os.open(lock, _FLAGS | os.O_RDWR, 0o644)
    except PermissionError:
        # Left by another user of the folder; reading is enough for a lock.
        return os.open(lock, os.O_NOFOLLOW | os.O_CLOEXEC | os.O_RDONLY)


def _is_there(fd: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(lock))
    except FileNotFoundError:
        return False


def _clear(place: Path) -> None:
    """Remove what a killed writer left: only who holds the lock makes such files."""
    left = re.compile(rf"\.{re.escape(place.name[:100])}\.[a-z0-9_]{{8}}\.tmp")
    with contextlib.suppress(OSError):
        for name in os.listdir(place.parent):
            if left.fullmatch(name):
                os.unlink(place.parent / name)


def _tell(text: str, observer: Observer) -> None:
    observer(Event(kind=EventKind.WARNING, phase="write", text=text))
