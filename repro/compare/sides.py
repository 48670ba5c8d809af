"""Outputs in a folder, opened below one descriptor and through no link."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from typing import BinaryIO

from repro.compare.memory import MemoryOutput
from repro.model.ports import OutputFile
from repro.primitives.digest import Digest
from repro.primitives.files import open_inside

_PIECE = 1 << 20


class _Root:
    """A folder held open for as long as one of its outputs is."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)


class FolderOutput:
    """A plain file below a folder. Size as found; the digest is taken when first asked for.

    ``open`` and ``digest`` raise OSError when the file cannot be read, is a link by now
    or no longer a plain file.
    """

    link = False

    def __init__(self, root: _Root, path: str, size: int) -> None:
        self._root = root
        self._path = path
        self._digest: Digest | None = None
        self.size = size

    @property
    def digest(self) -> Digest:
        """The sha256 of the bytes."""
        if self._digest is None:
            fd = self._descriptor()
            try:
                # Small files are many: no buffer is made for each.
                piece = max(1, min(self.size + 1, _PIECE))
                self._digest = Digest.of_stream(iter(lambda: os.read(fd, piece), b""))
            finally:
                os.close(fd)
        return self._digest

    def open(self) -> BinaryIO:
        """A fresh stream of the bytes."""
        return os.fdopen(self._descriptor(), "rb")

    def _descriptor(self) -> int:
        # O_NONBLOCK: a FIFO put in the file's place must not make the judge wait.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        fd = open_inside(self._root.fd, self._path, flags)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(0, "is no longer a plain file", self._path)
        return fd


def outputs_in(root: str, paths: Iterable[str]) -> dict[str, OutputFile]:
    """The outputs at ``paths`` below the folder ``root``, sorted by path.

    Links are outputs whose bytes are their target; special files and what is not there are
    left out. The folder may be given as ``/proc/self/fd/N``. Raises OSError when it is none.
    """
    holder = _Root(root)
    found: dict[str, OutputFile] = {}
    with _Folders(holder) as folders:
        for path in sorted(paths):
            output = _output(holder, folders, path)
            if output is not None:
                found[path] = output
    return found


class _Folders(contextlib.AbstractContextManager["_Folders"]):
    """Folders below a root, of which the last one is held open: paths come sorted."""

    def __init__(self, root: _Root) -> None:
        self._root = root
        self._last: tuple[str, int] | None = None

    def __exit__(self, *rest: object) -> None:
        if self._last is not None:
            os.close(self._last[1])

    def at(self, path: str) -> int:
        """The descriptor of a folder, valid until the next is asked for. Raises OSError."""
        if self._last is None or self._last[0] != path:
            fd = open_inside(self._root.fd, path or ".", os.O_PATH | os.O_DIRECTORY)
            self.__exit__()
            self._last = (path, fd)
        return self._last[1]


def _output(root: _Root, folders: _Folders, path: str) -> OutputFile | None:
    parent, _, leaf = path.rpartition("/")
    try:
        folder = folders.at(parent)
    except OSError:
        return None
    try:
        status = os.stat(leaf, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(leaf, dir_fd=folder)
            return MemoryOutput(os.fsencode(target), link=True)
        if stat.S_ISREG(status.st_mode):
            return FolderOutput(root, path, status.st_size)
        return None
    except FileNotFoundError:
        return None
