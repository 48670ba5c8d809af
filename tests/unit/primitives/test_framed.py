"""Plain bytes out of the middle of frames."""

from __future__ import annotations

import io
import random

import pytest
import zstandard

from repro.errors import ArchiveError
from repro.primitives.framed import FrameMap
from repro.primitives.frames import FRAME, FrameWriter

PLAIN = random.Random(1).randbytes(1000) * 9000 + bytes(FRAME)


class Blob:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked: list[tuple[int, int]] = []

    def read(self, offset: int, size: int) -> bytes:
        self.asked.append((offset, size))
        return self.data[offset : offset + size]


def even() -> tuple[Blob, list[int]]:
    out = io.BytesIO()
    with FrameWriter(out) as frames:
        frames.write(PLAIN)
        frames.finish()
    return Blob(out.getvalue()), frames.frames


@pytest.mark.parametrize(
    ("offset", "size"),
    [(0, 10), (FRAME - 5, 10), (5, 2 * FRAME), (len(PLAIN) - 3, 3), (FRAME, FRAME), (7, 0)],
)
def test_any_range_and_no_frame_too_many(offset: int, size: int) -> None:
    blob, frames = even()
    found = FrameMap(frames, len(PLAIN), blob.read)
    assert blob.asked == []  # even frames need no look at their headers
    assert b"".join(found.plain_range(offset, size)) == PLAIN[offset : offset + size]
    touched = (offset + size - 1) // FRAME - offset // FRAME + 1 if size else 0
    assert len(blob.asked) == touched


def test_frames_of_any_lengths() -> None:
    pieces = [PLAIN[:10], PLAIN[10:5000], b"", PLAIN[5000:9000]]
    packed = [zstandard.compress(piece) for piece in pieces]
    blob = Blob(b"".join(packed))
    found = FrameMap([len(each) for each in packed], 9000, blob.read)
    assert b"".join(found.plain_range(3, 8000)) == PLAIN[3:8003]


def test_nonsense_is_refused() -> None:
    blob, frames = even()
    with pytest.raises(ArchiveError, match="beyond the end"):
        list(FrameMap(frames, len(PLAIN), blob.read).plain_range(len(PLAIN) - 1, 2))
    with pytest.raises(ArchiveError, match="no frame"):
        list(FrameMap(frames, len(PLAIN), lambda o, s: b"x" * s).plain_range(0, 5))
    damaged = bytearray(blob.data)
    damaged[frames[0] // 2] ^= 1
    with pytest.raises(ArchiveError, match="damaged"):
        last = Blob(bytes(damaged))
        list(FrameMap(frames, len(PLAIN), last.read).plain_range(0, 5))
    bomb = zstandard.compress(bytes(FRAME + 1))
    with pytest.raises(ArchiveError, match="larger"):
        FrameMap([len(bomb), len(bomb), len(bomb)], 10, Blob(bomb * 3).read)
