"""Chunks of bytes of any size, taken from the front in other sizes."""

from __future__ import annotations

from collections.abc import Iterable


class Chunks:
    """What an iterator of chunks gives, as much at a time as is asked for; nothing is joined."""

    def __init__(self, chunks: Iterable[bytes | memoryview]) -> None:
        self._chunks = iter(chunks)
        self._chunk = memoryview(b"")

    def some(self, count: int | None = None) -> memoryview:
        """At most ``count`` bytes (over 0; else what lies ready); none only at the end."""
        while not self._chunk:
            chunk = next(self._chunks, None)
            if chunk is None:
                return self._chunk
            self._chunk = memoryview(chunk)
        piece = self._chunk[:count]
        self._chunk = self._chunk[len(piece) :]
        return piece
