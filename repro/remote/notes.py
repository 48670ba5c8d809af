"""Where uploads had got to: kept in a folder, so that a push that was killed goes on from there.

A note holds the address that the registry gave for the rest of a blob (it may carry a token of
that one upload, so only the user may read it). Losing a note costs time, nothing else.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from repro.primitives.files import private_folder

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_BYTES = 16 << 10
KEPT_SECONDS = 7 * 24 * 3600
"""Registries forget an unfinished upload after about this time (distribution's upload purging)."""


class Note:
    """The address of one upload; without a file (another process has it) it keeps nothing."""

    def __init__(self, path: Path | None = None, fd: int = -1) -> None:
        self._path = path
        self._fd = fd

    def read(self) -> str | None:
        """The address that was kept; None without one."""
        if self._fd < 0:
            return None
        with contextlib.suppress(OSError, ValueError, AttributeError):
            found = json.loads(os.pread(self._fd, _MOST_BYTES, 0)).get("location")
            return found if isinstance(found, str) and found else None
        return None

    def write(self, location: str) -> None:
        """Keep an address; a disk that refuses is no error."""
        if self._fd < 0:
            return
        data = json.dumps({"location": location}).encode()
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, data, 0)

    def remove(self) -> None:
        """Forget it: the blob has arrived."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._path)


class Notes:
    """The notes below ``folder``. ``resumed`` counts bytes that were not sent again.

    Safe for several threads and processes: each upload has one owner at a time.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self.resumed = 0

    def add(self, count: int) -> None:
        """Count bytes that an earlier try had sent."""
        with self._lock:
            self.resumed += count

    @contextlib.contextmanager
    def claim(self, *names: str) -> Iterator[Note]:
        """The note of an upload (server, repository, digest), this process's until the end."""
        path, fd = None, -1
        if self._folder is not None:
            path = self._folder / hashlib.sha256("\n".join(names).encode()).hexdigest()
            fd = _open(path)
        try:
            yield Note(path, fd) if fd >= 0 else Note()
        finally:
            if fd >= 0:
                _close(path, fd)


def _open(path: Path) -> int:
    """The locked file; -1 when another process has it or the disk refuses."""
    fd = -1
    try:
        private_folder(path.parent)
        _sweep(path.parent)
        fd = os.open(path, _FLAGS, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(fd), os.lstat(path)):
            raise OSError("removed by its last owner")
    except OSError:
        if fd >= 0:
            os.close(fd)
        return -1
    return fd


def _close(path: Path | None, fd: int) -> None:
    with contextlib.suppress(OSError):
        if path is not None and os.fstat(fd).st_size == 0:
            os.unlink(path)
    os.close(fd)


def _sweep(folder: Path) -> None:
    for entry in os.scandir(folder):
        with contextlib.suppress(OSError):
            if entry.stat().st_mtime < time.time() - KEPT_SECONDS:
                os.unlink(entry.path)
