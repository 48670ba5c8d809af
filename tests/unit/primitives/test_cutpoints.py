"""Cuts by content: the same behind a change, and never out of bounds."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator

import pytest

from repro.primitives.cutpoints import LONGEST, SHORTEST, cut_point
from repro.primitives.frames import FrameWriter, decompressed


def table(rows: int, seed: int = 1) -> list[bytes]:
    rng = random.Random(seed)
    return [b"%d,%.4f,%d\n" % (n, rng.gauss(0, 1), rng.randrange(999)) for n in range(rows)]


def pieces(data: bytes) -> Iterator[bytes]:
    left = memoryview(data)
    while left:
        size = cut_point(left[:LONGEST])
        yield bytes(left[:size])
        left = left[size:]


ROWS = table(400_000)
CHANGES = {
    "longer row": [*ROWS[:200_000], b"200000,corrected by hand,7\n", *ROWS[200_001:]],
    "row out": [*ROWS[:200_000], *ROWS[200_001:]],
    "row in": [*ROWS[:200_000], b"new,1,2\n", *ROWS[200_000:]],
    "first row": [b"header,and,more\n", *ROWS],
    "rows behind": [*ROWS, b"400000,0,1\n"],
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_changed_row_changes_few_pieces(how: str) -> None:
    old, new = list(pieces(b"".join(ROWS))), list(pieces(b"".join(CHANGES[how])))
    assert len(old) > 12
    fresh = set(new) - set(old)
    assert 1 <= len(fresh) <= 3


def test_binary_data_too() -> None:
    data = random.Random(2).randbytes(8 << 20)
    old = list(pieces(data))
    new = list(pieces(data[: 2 << 20] + b"12345678" + data[2 << 20 :]))
    assert len(old) > 8 and len(set(new) - set(old)) <= 3


@pytest.mark.parametrize(
    "data",
    [
        b"", b"x", bytes(SHORTEST), bytes(3 * LONGEST + 5), b"\n" * (2 * LONGEST + 1),
        b"0\n1\n" * LONGEST, b"\x05,\x15" * LONGEST, random.Random(3).randbytes(LONGEST + 1),
    ],
)  # fmt: skip
def test_bounds(data: bytes) -> None:
    found = list(pieces(data))
    assert b"".join(found) == data
    assert all(SHORTEST < len(each) <= LONGEST for each in found[:-1])


@pytest.mark.parametrize("step", [999, 1 << 20, 9 << 20])
def test_frames_by_content_hang_on_the_content_alone(step: int) -> None:
    data = b"".join(ROWS)
    results = []
    for each, threads in ((step, 1), (1 << 16, 3)):
        out = io.BytesIO()
        with FrameWriter(out, threads=threads, by_content=True) as frames:
            for start in range(0, len(data), each):
                frames.write(data[start : start + each])
            frames.finish()
        assert b"".join(decompressed(io.BytesIO(out.getvalue()), "zstd")) == data
        results.append((out.getvalue(), frames.frames))
    assert results[0] == results[1] and len(results[0][1]) == len(list(pieces(data)))
