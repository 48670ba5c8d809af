"""A source of layers whose reading is told: how far a check or an unpacking has come."""

from __future__ import annotations

import io
from typing import BinaryIO, Protocol, cast

from repro.model.oci import Descriptor
from repro.primitives.events import Tally


class BlobSource(Protocol):
    """Anything that gives streams of blobs."""

    def open_blob(self, descriptor: Descriptor) -> BinaryIO: ...  # noqa: D102


class Telling:
    """The same blobs; the bytes that are read of them are added to ``told``.

    What is read a second time (to see why it was refused) is not counted again.
    """

    def __init__(self, source: BlobSource, told: Tally) -> None:
        self._source = source
        self._told = told

    def open_blob(self, descriptor: Descriptor) -> BinaryIO:
        """As the source has it."""
        return cast(
            BinaryIO, _Told(self._source.open_blob(descriptor), descriptor.size, self._told)
        )


class _Told(io.RawIOBase):
    def __init__(self, stream: BinaryIO, size: int, told: Tally) -> None:
        super().__init__()
        self._stream = stream
        self._left = size
        self._told = told

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._add(len(data))
        return data

    def readinto(self, buffer: object) -> int:
        count = int(self._stream.readinto(buffer))  # type: ignore[attr-defined]
        self._add(count)
        return count

    def _add(self, count: int) -> None:
        count = min(count, self._left)
        self._left -= count
        self._told.add(count)
