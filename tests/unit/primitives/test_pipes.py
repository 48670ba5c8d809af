from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from repro.primitives.digest import Digest
from repro.primitives.pipes import SideHash, ahead


def test_order_and_end() -> None:
    chunks = [bytes([n]) for n in range(100)]
    assert list(ahead(iter(chunks), depth=2)) == chunks
    assert list(ahead([])) == []


def test_what_the_producer_raises_arrives() -> None:
    def broken() -> Iterator[bytes]:
        yield b"1"
        raise ValueError("here")

    found = []
    with pytest.raises(ValueError, match="here"):
        for chunk in ahead(broken()):
            found.append(chunk)
    assert found == [b"1"]


def test_leaving_early_ends_the_thread() -> None:
    before = threading.active_count()

    def endless() -> Iterator[bytes]:
        while True:
            yield b"x"

    stream = ahead(endless())
    assert next(stream) == b"x"
    stream.close()
    assert threading.active_count() == before


def test_hash_on_the_side() -> None:
    side = SideHash()
    for chunk in (b"a", b"b" * 10_000, b""):
        side.update(chunk)
    assert side.finish() == side.finish() == Digest.of(b"a" + b"b" * 10_000)
