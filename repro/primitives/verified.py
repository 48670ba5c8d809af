"""Reading a range of a file, several of them as one, and reading with the digest checked."""

from __future__ import annotations

import hashlib
import io
import os
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import BinaryIO, NoReturn

from repro.primitives.digest import Digest


class JoinedReader(io.RawIOBase):
    """Ranges of open files one behind the other, as one seekable stream.

    ``parts`` are (descriptor, offset, size) with sizes over 0; the descriptors stay the
    caller's. Ends early when one of the files does.
    """

    def __init__(self, parts: Sequence[tuple[int, int, int]]) -> None:
        super().__init__()
        self._parts = tuple(parts)
        self._ends = list(accumulate(size for _, _, size in parts))
        self._size = self._ends[-1] if self._ends else 0
        self._position = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill ``buffer`` as far as one range goes; the number of bytes."""
        if self._position >= self._size:
            return 0
        number = bisect_right(self._ends, self._position)
        fd, offset, size = self._parts[number]
        inside = self._position - (self._ends[number] - size)
        view = memoryview(buffer)[: size - inside]  # type: ignore[arg-type]
        count = os.preadv(fd, [view], offset + inside) if view else 0
        self._position += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move inside the stream."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = min(max(base + offset, 0), self._size)
        return self._position

    def tell(self) -> int:
        """The position inside the stream."""
        return self._position


class RangeReader(JoinedReader):
    """``size`` bytes of an open file from ``offset``, by pread(2): many may share one file."""

    def __init__(self, fd: int, offset: int, size: int) -> None:
        super().__init__([(fd, offset, size)] if size else [])


class VerifiedReader(io.RawIOBase):
    """A stream that ends well only when size and digest are as expected.

    ``mismatch`` is called with the digest found (and must raise) before the last bytes
    are handed out. Longer streams are cut: the digest tells.
    """

    def __init__(
        self,
        stream: BinaryIO,
        digest: Digest,
        size: int,
        mismatch: Callable[[Digest, int], NoReturn],
    ) -> None:
        super().__init__()
        self._stream = stream
        self._digest = digest
        self._left = size
        self._size = size
        self._mismatch = mismatch
        self._running = hashlib.sha256()

    def readable(self) -> bool:
        """Always."""
        return True

    def close(self) -> None:
        """Close the stream below as well."""
        if not self.closed:
            self._stream.close()
        super().close()

    def readinto(self, buffer: object) -> int:
        """Fill ``buffer``; the number of bytes, 0 at the verified end."""
        view = memoryview(buffer)[: self._left]  # type: ignore[arg-type]
        count = self._stream.readinto(view) if view else 0  # type: ignore[attr-defined]
        self._take(view[:count], count or len(view))
        return int(count)

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes (all when negative)."""
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._stream.read(wanted) if wanted else b""
        self._take(data, wanted)
        return data

    def _take(self, data: bytes | memoryview, wanted: int) -> None:
        self._running.update(data)
        self._left -= len(data)
        if (wanted and len(data) < wanted) or not self._left:
            self._check()

    def readall(self) -> bytes:
        """All that is left."""
        return self.read(-1)

    def _check(self) -> None:
        found = Digest(self._running.hexdigest())
        if self._left or found != self._digest:
            self._mismatch(found, self._size - self._left)
