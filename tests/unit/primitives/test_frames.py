from __future__ import annotations

import gzip
import io
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
import zstandard

from repro.errors import ArchiveError
from repro.primitives.digest import Digest
from repro.primitives.frames import FRAME, LARGEST_RATIO, FrameWriter, decompressed
from repro.primitives.tarread import Limits


def packed(data: bytes, step: int, threads: int) -> tuple[bytes, FrameWriter]:
    out = io.BytesIO()
    with FrameWriter(out, threads=threads) as frames:
        for start in range(0, len(data), step):
            frames.write(data[start : start + step])
        digest, diff_id = frames.finish()
    assert digest == Digest.of(out.getvalue()) and diff_id == Digest.of(data)
    return out.getvalue(), frames


@pytest.mark.parametrize("size", [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME + 17])
def test_round_trip(size: int) -> None:
    data = random.Random(size).randbytes(1000) * (size // 1000 + 1)
    data = data[:size]
    raw, frames = packed(data, 1 << 20, 2)
    assert b"".join(decompressed(io.BytesIO(raw), "zstd")) == data
    assert sum(frames.frames) == len(raw) == frames.size
    assert len(frames.frames) == max(1, -(-size // FRAME))


def test_neither_threads_nor_pieces_change_the_bytes() -> None:
    data = random.Random(1).randbytes(2000) * 5000
    assert len({packed(data, step, threads)[0]
                for step, threads in ((999, 1), (1 << 20, 3), (9 << 20, 2))}) == 1  # fmt: skip


def test_every_frame_is_read_and_chunks_are_small() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(64 << 20)) * 2
    sizes = [len(chunk) for chunk in decompressed(io.BytesIO(bomb), "zstd")]
    assert sum(sizes) == 128 << 20 and max(sizes) <= 2 << 20


@pytest.mark.parametrize("tail", [0, 1, FRAME // 2])
def test_zeros_stay_below_what_readers_take_for_a_bomb(tail: int) -> None:
    data = bytes(5 * FRAME) + random.Random(2).randbytes(FRAME) + bytes(FRAME + tail)
    raw, frames = packed(data, 1 << 20, 2)
    assert b"".join(decompressed(io.BytesIO(raw), "zstd")) == data
    assert all(size >= FRAME // LARGEST_RATIO for size in frames.frames[:6])
    alone, _ = packed(bytes(100 * FRAME), FRAME, 2)
    limits = Limits()
    assert LARGEST_RATIO < 100 * FRAME / len(alone) * 1.01 and LARGEST_RATIO < limits.ratio
    assert 100 * FRAME / len(alone) < limits.ratio


def test_other_decoders_skip_the_padding(tmp_path: Path) -> None:
    tool = shutil.which("zstd")
    if tool is None:
        if os.environ.get("CI"):
            pytest.fail("zstd is not installed")
        pytest.skip("zstd is not installed")
    data = bytes(3 * FRAME) + b"end"
    (tmp_path / "zeros.zst").write_bytes(packed(data, 1 << 20, 2)[0])
    done = subprocess.run([tool, "-dc", tmp_path / "zeros.zst"], capture_output=True, check=True)
    assert done.stdout == data


def test_gzip_members_and_plain() -> None:
    two = gzip.compress(b"one") + gzip.compress(b"two")
    assert b"".join(decompressed(io.BytesIO(two), "gzip")) == b"onetwo"
    assert b"".join(decompressed(io.BytesIO(b"as is"), "plain")) == b"as is"


@pytest.mark.parametrize(
    ("data", "compression"),
    [
        (b"no zstd at all", "zstd"),
        (zstandard.compress(b"x" * 1000) + b"tail", "zstd"),
        (b"no gzip", "gzip"),
        (gzip.compress(b"x" * 1000, mtime=0)[:-9], "gzip"),
        (gzip.compress(b"x", mtime=0) + b"tail", "gzip"),
    ],
)
def test_damage_is_an_archive_error(data: bytes, compression: str) -> None:
    with pytest.raises(ArchiveError, match=f"the {compression} data is damaged"):
        list(decompressed(io.BytesIO(data), compression))


def test_a_window_that_needs_gigabytes_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=30, write_content_size=0)
    raw = zstandard.ZstdCompressor(compression_params=parameters)
    chunk = raw.compressobj()
    data = chunk.compress(b"x" * 5000) + chunk.flush()
    with pytest.raises(ArchiveError):
        list(decompressed(io.BytesIO(data), "zstd"))


def test_a_failing_output_ends_the_threads() -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"), FrameWriter(Full()) as frames:
        frames.write(bytes(40 << 20))
        frames.finish()
