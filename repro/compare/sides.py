"""Outputs in a folder, opened below one descriptor and through no link."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import BinaryIO

from repro.compare.memory import MemoryOutput
from repro.model.ports import OutputFile
from repro.primitives.digest import Digest
from repro.primitives.files import open_inside


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
            with self.open() as stream:
                self._digest = Digest.of_file(stream)
        return self._digest

    def open(self) -> BinaryIO:
        """A fresh stream of the bytes."""
        # O_NONBLOCK: a FIFO put in the file's place must not make the judge wait.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        fd = open_inside(self._root.fd, self._path, flags)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(0, "is no longer a plain file", self._path)
        return os.fdopen(fd, "rb")


def outputs_in(root: str, paths: Iterable[str]) -> dict[str, OutputFile]:
    """The outputs at ``paths`` below the folder ``root``, sorted by path.

    Links are outputs whose bytes are their target; special files and what is not there are
    left out. The folder may be given as ``/proc/self/fd/N``. Raises OSError when it is none.
    """
    holder = _Root(root)
    found: dict[str, OutputFile] = {}
    for path in sorted(paths):
        output = _output(holder, path)
        if output is not None:
            found[path] = output
    return found


def _output(root: _Root, path: str) -> OutputFile | None:
    parent, _, leaf = path.rpartition("/")
    try:
        folder = open_inside(root.fd, parent or ".", os.O_PATH | os.O_DIRECTORY)
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
    finally:
        os.close(folder)
