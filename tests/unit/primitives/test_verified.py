from __future__ import annotations

import io
import os
from pathlib import Path
from typing import NoReturn

import pytest

from repro.primitives.digest import Digest
from repro.primitives.verified import RangeReader, VerifiedReader

DATA = bytes(range(256)) * 100


class Wrong(Exception):
    pass


def refuse(found: Digest, size: int) -> NoReturn:
    raise Wrong(found, size)


def reader(data: bytes, expected: bytes = DATA) -> VerifiedReader:
    return VerifiedReader(io.BytesIO(data), Digest.of(expected), len(expected), refuse)


def test_good_bytes_pass() -> None:
    assert reader(DATA).read() == DATA
    stream = reader(DATA)
    assert b"".join(iter(lambda: stream.read(777), b"")) == DATA
    assert io.BufferedReader(reader(DATA)).read() == DATA
    assert reader(b"", b"").read() == b""


@pytest.mark.parametrize("data", [DATA[:-1] + b"?", DATA[:-1], b"", b"?" + DATA[1:]])
def test_the_last_bytes_are_never_handed_out_wrong(data: bytes) -> None:
    stream = reader(data)
    got = b""
    with pytest.raises(Wrong):
        while chunk := stream.read(1000):
            got += chunk
    assert len(got) < len(DATA)


def test_an_empty_blob_of_another_digest() -> None:
    with pytest.raises(Wrong):
        VerifiedReader(io.BytesIO(b""), Digest.of(b"x"), 0, refuse).read()


def test_ranges(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    fd = os.open(path, os.O_RDONLY)
    try:
        stream = io.BufferedReader(RangeReader(fd, 2, 5))
        assert stream.read() == b"23456"
        stream.seek(-2, os.SEEK_END)
        assert (stream.read(9), stream.tell()) == (b"56", 5)
        assert RangeReader(fd, 8, 5).read() == b"89", "the file ends early"
    finally:
        os.close(fd)
