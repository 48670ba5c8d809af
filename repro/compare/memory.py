"""An output whose bytes are at hand: a part of a file, or a link's target."""

from __future__ import annotations

import io
from typing import BinaryIO

from repro.primitives.digest import Digest


class MemoryOutput:
    """An OutputFile over bytes."""

    def __init__(self, data: bytes, *, link: bool = False) -> None:
        self._data = data
        self.size = len(data)
        self.digest = Digest.of(data)
        self.link = link

    def open(self) -> BinaryIO:
        """A fresh stream of the bytes."""
        return io.BytesIO(self._data)
