"""zstd in frames of 4 MiB, or cut by content: reachable in the middle, packed and unpacked in
parallel.

One stream of many frames is ordinary zstd (RFC 8878, section 3). python-zstandard's
``decompress`` and ``decompressobj`` stop silently after the first frame, hence
``read_across_frames``.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

import zstandard

from repro.errors import ArchiveError
from repro.primitives.cutpoints import LONGEST, cut_point
from repro.primitives.digest import Digest
from repro.primitives.pipes import SideHash
from repro.primitives.tarread import Limits
from repro.primitives.texts import human_size

if TYPE_CHECKING:
    from concurrent.futures import Future

FRAME = 4 << 20
LARGEST_RATIO = 900
"""No frame of ours is compressed more than this: a reader that stops at decompression bombs
(tarread.Limits) must read a data file of nothing but zeros."""

_SKIPPABLE = struct.Struct("<II")
_SKIPPABLE_MAGIC = 0x184D2A50
_READ = 1 << 20
_WINDOW = 128 << 20


class FrameWriter:
    """Compress what is written into frames; hashes both sides.

    ``diff_id`` is the digest of the bytes written, ``digest`` that of the compressed
    ones, ``frames`` the compressed length of each frame. ``by_content`` cuts frames where the
    content says (cutpoints), so that two streams which differ in one place have all other
    frames in common. With one thread all is done by the caller's. The result does not depend
    on the number of threads. A context manager: leaving it early ends the threads.
    """

    def __init__(
        self,
        out: BinaryIO,
        *,
        level: int = 3,
        threads: int | None = None,
        by_content: bool = False,
    ) -> None:
        workers = threads or min(4, os.cpu_count() or 1)
        self._out = out
        self._most = LONGEST if by_content else FRAME
        self._cut: Callable[[memoryview], int] = cut_point if by_content else len
        self._work: _Alone | _Threads = _Alone(level) if workers == 1 else _Threads(level, workers)
        # Cut by content, what is left behind the last cut moves to the next buffer: seldom.
        self._buffer = memoryview(bytearray(2 * FRAME if by_content else FRAME))
        self._held = 0
        self._packed = hashlib.sha256()
        self.frames: list[int] = []
        self.size = 0
        self.written = 0

    def __enter__(self) -> FrameWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self._work.end()

    def room(self) -> memoryview:
        """Where the next bytes go, at least one: fill some of it, then say so (``filled``)."""
        return self._buffer[self._held :]

    def filled(self, count: int) -> None:
        """The first ``count`` bytes of ``room`` are written."""
        self._held += count
        self.written += count
        if self._held == len(self._buffer):
            self._submit_all(least=self._most)

    def write(self, data: bytes | memoryview) -> None:
        """Add bytes."""
        count = len(data)
        if count < len(self._buffer) - self._held:
            self._buffer[self._held : self._held + count] = data
            self._held += count
            self.written += count
            return
        left = memoryview(data)
        while left:
            room = self.room()
            count = min(len(room), len(left))
            room[:count] = left[:count]
            self.filled(count)
            left = left[count:]

    def finish(self) -> tuple[Digest, Digest]:
        """Write the last frames; (digest, diff_id)."""
        if self.written:
            self._submit_all(least=1)
        else:
            self._submit(memoryview(b""))
        self._take(self._work.rest())
        return Digest(self._packed.hexdigest()), self._work.end()

    def _submit_all(self, least: int) -> None:
        """Frames from what is held, as long as that has ``least`` bytes."""
        left = self._buffer[: self._held]
        while len(left) >= least:
            size = self._cut(left[: self._most])
            self._submit(left[:size])
            left = left[size:]
        # In threads the frames are still being read.
        buffer = self._buffer if self._work.at_once else memoryview(bytearray(len(self._buffer)))
        buffer[: len(left)] = bytes(left)
        self._buffer, self._held = buffer, len(left)

    def _submit(self, frame: memoryview) -> None:
        self._take(self._work.pack(frame))

    def _take(self, ready: Iterable[bytes]) -> None:
        for packed in ready:
            self._out.write(packed)
            self._packed.update(packed)
            self.frames.append(len(packed))
            self.size += len(packed)


class _Alone:
    """Frames packed and hashed by who asks."""

    at_once = True

    def __init__(self, level: int) -> None:
        self._tool = _compressor(level)
        self._plain = hashlib.sha256()

    def pack(self, frame: memoryview) -> Iterable[bytes]:
        self._plain.update(frame)
        return (_compressed(self._tool, frame),)

    def rest(self) -> Iterable[bytes]:
        return ()

    def end(self) -> Digest:
        return Digest(self._plain.hexdigest())


class _Threads:
    """Frames packed by several threads and hashed by another, in their order."""

    at_once = False

    def __init__(self, level: int, workers: int) -> None:
        # Loaded by who packs: readers do not need it (docs/decisions/0005).
        from concurrent.futures import ThreadPoolExecutor

        self._level = level
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(workers)
        self._pending: deque[Future[bytes]] = deque()
        self._ahead = workers + 1
        self._plain = SideHash()

    def pack(self, frame: memoryview) -> Iterator[bytes]:
        self._plain.update(frame)
        self._pending.append(self._pool.submit(self._compress, frame))
        while len(self._pending) > self._ahead:
            yield self._pending.popleft().result()

    def rest(self) -> Iterator[bytes]:
        while self._pending:
            yield self._pending.popleft().result()

    def end(self) -> Digest:
        self._pool.shutdown(cancel_futures=True)
        return self._plain.finish()

    def _compress(self, frame: memoryview) -> bytes:
        # A compressor serves one thread at a time.
        tool: zstandard.ZstdCompressor | None = getattr(self._local, "tool", None)
        if tool is None:
            tool = self._local.tool = _compressor(self._level)
        return _compressed(tool, frame)


def _compressor(level: int) -> zstandard.ZstdCompressor:
    return zstandard.ZstdCompressor(level=level, write_checksum=True)


def _compressed(tool: zstandard.ZstdCompressor, frame: memoryview) -> bytes:
    packed: bytes = tool.compress(frame)
    lacking = len(frame) // LARGEST_RATIO - len(packed)
    return packed if lacking <= 0 else packed + _skippable(lacking)


def bounded(chunks: Iterator[bytes], packed: Counted, limits: Limits, what: str) -> Iterator[bytes]:
    """The same chunks, until there are more than ``limits`` allow.

    ``packed`` is the stream that they are unpacked from; ``what`` begins the error. Raises
    ArchiveError (slug archive-limit).
    """
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if limits.plain is not None and total > limits.plain:
            raise ArchiveError(
                f"{what} unpacks to more than the {limits.plain} bytes that it is said to have",
                slug="archive-limit",
            )
        if total > limits.floor and total > limits.ratio * packed.count:
            raise ArchiveError(
                f"{what} unpacks to more than {limits.ratio} times its size "
                f"(stopped at {human_size(total)})",
                slug="archive-limit",
            )
        yield chunk
    if limits.plain is not None and total != limits.plain:
        raise ArchiveError(
            f"{what} unpacks to {total} bytes, not to the {limits.plain} that it is said to have",
            slug="archive-digest",
        )


class Counted:
    """A stream that counts the bytes taken from it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes."""
        data = self._stream.read(size)
        self.count += len(data)
        return data


def _skippable(size: int) -> bytes:
    """A frame of at least ``size`` bytes that every decoder skips (RFC 8878, section 3.1.2)."""
    rest = max(0, size - _SKIPPABLE.size)
    return _SKIPPABLE.pack(_SKIPPABLE_MAGIC, rest) + bytes(rest)


def decompressed(stream: BinaryIO, compression: str, *, chunk: int = 2 << 20) -> Iterator[bytes]:
    """The plain bytes of a ``zstd``, ``gzip`` or ``plain`` stream, all frames of it.

    No chunk is larger than ``chunk`` bytes, whatever the input claims. Raises
    ArchiveError when the stream is damaged.
    """
    try:
        if compression == "zstd":
            tool = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
            reader = tool.stream_reader(
                stream, read_size=_READ, read_across_frames=True, closefd=False
            )
            yield from iter(lambda: reader.read(chunk), b"")
        elif compression == "gzip":
            with gzip.GzipFile(fileobj=stream, mode="rb") as unpacked:
                yield from iter(lambda: unpacked.read(chunk), b"")
        else:
            yield from iter(lambda: stream.read(chunk), b"")
    except (zstandard.ZstdError, zlib.error, gzip.BadGzipFile, EOFError) as error:
        text = str(error)[:80]
        raise ArchiveError(
            f"the {compression} data is damaged: {text}", slug="archive-zstd"
        ) from None
