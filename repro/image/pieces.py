"""Bytes of many files in one unnamed file on disk: what layers are made from again."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from repro.errors import StorageError
from repro.primitives.files import write_all
from repro.primitives.frozen import frozen

_READ = 1 << 20


@frozen
class Piece:
    """``size`` bytes from ``offset``; ``sha256`` (hexadecimal) of exactly these."""

    offset: int
    size: int
    sha256: str


class Pool:
    """Pieces that are added one after another and read in any order; a context manager."""

    def __init__(self, folder: Path) -> None:
        """Below ``folder``, which has to have the room. Raises StorageError."""
        try:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)
        except OSError as error:
            raise _refused(error) from None
        self._end = 0

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def add(
        self, chunks: Iterable[bytes | memoryview], keep: Callable[[str], bool] | None = None
    ) -> Piece | None:
        """Take all of ``chunks``; the piece, or None when ``keep`` says no to its sha256.

        What ``chunks`` raises goes through, and leaves nothing behind. Raises StorageError.
        """
        running = hashlib.sha256()
        start = self._end
        at = start
        try:
            self._file.seek(start)
        except OSError as error:
            raise _refused(error) from None
        for chunk in chunks:
            running.update(chunk)
            try:
                write_all(self._file.fileno(), chunk)
            except OSError as error:
                raise _refused(error) from None
            at += len(chunk)
        found = Piece(offset=start, size=at - start, sha256=running.hexdigest())
        if keep is not None and not keep(found.sha256):
            return None
        self._end = at
        return found

    def read(self, piece: Piece) -> Iterator[bytes]:
        """The piece's bytes. Raises StorageError."""
        at, left = piece.offset, piece.size
        while left:
            try:
                # By its own offset: another thread may read as well.
                data = os.pread(self._file.fileno(), min(left, _READ), at)
            except OSError as error:
                raise _refused(error) from None
            if not data:
                raise StorageError("a scratch file became shorter while it was read")
            at += len(data)
            left -= len(data)
            yield data


def _refused(error: OSError) -> StorageError:
    return StorageError(
        f"no room for the bytes of packages: {error.strerror}",
        hint="free some space, or set REPRO_CACHE to a folder on another disk",
    )
