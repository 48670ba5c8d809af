"""Chunks taken in other sizes than they come in."""

from __future__ import annotations

import pytest

from repro.primitives.chunks import Chunks


@pytest.mark.parametrize("count", [1, 2, 3, 7, None])
def test_all_bytes_in_order_whatever_is_asked_for(count: int | None) -> None:
    chunks = Chunks([b"", b"abc", memoryview(b"d"), b"", b"efgh", b""])
    found = list(iter(lambda: bytes(chunks.some(count)), b""))
    assert b"".join(found) == b"abcdefgh" and chunks.some(count) == b""
    assert count is None or max(map(len, found)) <= count
