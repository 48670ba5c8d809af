"""Some plain bytes out of the middle of a stream of zstd frames: only their frames are read.

What comes out is proved by who knows its digest; here only nonsense and bombs are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import zstandard

from repro.errors import ArchiveError
from repro.primitives.frames import FRAME

Read = Callable[[int, int], bytes]
"""Bytes of the compressed stream: offset and count."""

_HEADER = 18  # the longest frame header (RFC 8878, section 3.1.1.1)


class FrameMap:
    """Where frames lie: ``frames`` are their compressed lengths, ``plain`` all plain bytes."""

    def __init__(self, frames: Sequence[int], plain: int, read: Read) -> None:
        """Reads nothing where all frames hold FRAME bytes, else the header of each."""
        self._read = read
        self._at: list[int] = []
        self._frames = list(frames)
        position = 0
        for length in frames:
            self._at.append(position)
            position += length
        if self.is_even(frames, plain):
            starts = [number * FRAME for number in range(len(frames))]
        else:
            starts, position = [], 0
            for at in self._at:
                starts.append(position)
                position += _plain_size(read(at, _HEADER))
        self._starts = [*starts, plain]

    @staticmethod
    def is_even(frames: Sequence[int], plain: int) -> bool:
        """Whether all frames but the last hold FRAME plain bytes."""
        return len(frames) == max(1, -(-plain // FRAME))

    def plain_range(self, offset: int, size: int) -> Iterator[bytes]:
        """``size`` plain bytes from ``offset``. Raises ArchiveError when they are not there."""
        left = size
        for number, start in enumerate(self._starts[:-1]):
            end = self._starts[number + 1]
            if left <= 0 or end <= offset:
                continue
            data = self._frame(number, end - start)
            piece = data[max(0, offset - start) :][:left]
            left -= len(piece)
            yield piece
        if left > 0:
            raise ArchiveError("a file lies beyond the end of its layer", slug="archive-format")

    def _frame(self, number: int, plain: int) -> bytes:
        packed = self._read(self._at[number], self._frames[number])
        if _plain_size(packed[:_HEADER]) != plain:
            raise ArchiveError("the frames of a layer are not as listed", slug="archive-format")
        try:
            return zstandard.ZstdDecompressor().decompress(packed, max_output_size=plain)
        except zstandard.ZstdError as error:
            raise ArchiveError(f"a frame is damaged: {error}", slug="archive-zstd") from None


def _plain_size(header: bytes) -> int:
    try:
        found: int = zstandard.get_frame_parameters(header).content_size
    except zstandard.ZstdError:
        raise ArchiveError(
            "a layer has no frame where one is listed", slug="archive-zstd"
        ) from None
    if not 0 <= found <= FRAME:
        raise ArchiveError("a frame of a layer is larger than any of repro's", slug="archive-limit")
    return found
