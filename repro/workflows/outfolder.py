"""A folder that files of an archive are written to: through no link, and never outside."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from repro.errors import UsageError
from repro.primitives.files import open_made
from repro.primitives.texts import printable

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_IN_THE_WAY = (errno.ELOOP, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENOTEMPTY)


class OutFolder:
    """Files, links and folders below an existing folder; a context manager.

    What this object itself wrote it may replace and remove, as the layers of an image do;
    of what lay there before only plain files and links are replaced. ``files`` and ``size``
    count what is there of it. Methods raise UsageError when something is in the way.
    """

    def __init__(self, folder: Path) -> None:
        self._root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._written: dict[str, bool] = {}
        self._inside: dict[str, set[str]] = {}
        self.files = 0
        self.size = 0

    def __enter__(self) -> OutFolder:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._root)

    def folder(self, path: str) -> None:
        """A folder, in the place of a file or link that was written before."""
        if self._written.get(path) is False:
            self.remove(path)
        with self._base(path) as (base, leaf):
            if leaf not in ("", "."):
                os.close(open_made(base, leaf))
        self._note(path, True)

    def file(self, path: str, stream: BinaryIO, mode: int) -> None:
        """A plain file with the bytes of ``stream``."""
        with self._emptied(path) as (base, leaf):
            with os.fdopen(os.open(leaf, _NEW, mode, dir_fd=base), "wb") as out:
                self._note(path, False)
                shutil.copyfileobj(stream, out, 1 << 20)
                self.size += out.tell()
        self.files += 1

    def link(self, path: str, text: str) -> bool:
        """A symlink, when it stays inside the folder whatever else is there; whether it does."""
        if not _stays_inside(path, text):
            self.remove(path)
            return False
        with self._emptied(path) as (base, leaf):
            os.symlink(text, leaf, dir_fd=base)
            self._note(path, False)
        self.files += 1
        return True

    def remove(self, path: str) -> None:
        """Take away what was written at a path and below it, and only that."""
        if path in self._written:
            self.empty(path)
            self._take(path)

    def empty(self, path: str) -> None:
        """Take away what was written below a path."""
        below, pending = [], [path]
        while pending:
            inside = self._inside.pop(pending.pop(), ())
            pending += inside
            below += [each for each in inside if each in self._written]
        for each in sorted(below, key=len, reverse=True):
            self._take(each)

    def _note(self, path: str, folder: bool) -> None:
        """Remember what was written, and in which folders it lies: layers have many files."""
        self._written[path] = folder
        while path:
            parent = path.rpartition("/")[0]
            beside = self._inside.setdefault(parent, set())
            if path in beside:
                break
            beside.add(path)
            path = parent

    def _take(self, path: str) -> None:
        with self._base(path) as (base, leaf):
            if self._written.pop(path):
                with contextlib.suppress(OSError):  # what was there before may be in it
                    os.rmdir(leaf, dir_fd=base)
                return
            status = os.lstat(leaf, dir_fd=base)
            os.unlink(leaf, dir_fd=base)
            self.files -= 1
            self.size -= stat.S_ISREG(status.st_mode) * status.st_size

    @contextlib.contextmanager
    def _emptied(self, path: str) -> Iterator[tuple[int, str]]:
        self.remove(path)
        with self._base(path) as (base, leaf):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(leaf, dir_fd=base)
            yield base, leaf

    @contextlib.contextmanager
    def _base(self, path: str) -> Iterator[tuple[int, str]]:
        """The folder above a path, made when missing, and the last name."""
        parent, _, leaf = path.rpartition("/")
        base = None
        try:
            base = open_made(self._root, parent)
            yield base, leaf
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            raise UsageError(
                f"{printable(path, 120)}: a link or another kind of file is in the way",
                hint="name a new folder",
            ) from None
        finally:
            if base is not None:
                os.close(base)


def _stays_inside(path: str, text: str) -> bool:
    """``..`` counts only at the beginning: behind a name it may lead out through a link."""
    parts = [part for part in text.split("/") if part not in ("", ".")]
    ups = next((at for at, part in enumerate(parts) if part != ".."), len(parts))
    return not text.startswith("/") and ".." not in parts[ups:] and ups <= path.count("/")
