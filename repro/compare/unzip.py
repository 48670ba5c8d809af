"""The members of a ZIP from a stranger: counted, bounded, each name once."""

from __future__ import annotations

import contextlib
import io
import math
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from repro.compare.base import Beyond, Malformed

MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_MAX_MEMBERS = 10_000
_MAX_TOTAL = 96 << 20
_MAX_MEMBER = 64 << 20


_MAX_STREAMED = 16 << 30
_PIECE = 1 << 16


def unzip(data: bytes) -> dict[str, bytes]:
    """Every member by name. Raises Malformed; Beyond for too many, too large, encrypted ones."""
    if not data.startswith(MAGIC):
        raise Malformed("it does not begin like a ZIP")
    with Members(io.BytesIO(data)) as members:
        return members.read(members.names)


class Members(contextlib.AbstractContextManager["Members"]):
    """A ZIP's members, some read whole and others piece by piece.

    Raises Malformed; Beyond for more than 10,000, two of one name, encrypted or odd ones, more
    than 16 GiB in all or, where they are given, more than ``seconds`` of clock.
    """

    def __init__(self, stream: BinaryIO, seconds: float = math.inf) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._left = _MAX_STREAMED
        with _failures():
            self._archive = zipfile.ZipFile(stream)
        self._infos = {info.filename: info for info in self._archive.infolist()}
        if len(self._archive.infolist()) > _MAX_MEMBERS:
            raise Beyond(f"more than {_MAX_MEMBERS} members")
        if len(self._infos) != len(self._archive.infolist()):
            raise Beyond("two members have the same name")

    def __exit__(self, *rest: object) -> None:
        self._archive.close()

    @property
    def names(self) -> list[str]:
        """The names, in the order of the archive."""
        return list(self._infos)

    def read(self, names: Iterable[str]) -> dict[str, bytes]:
        """These members whole. Raises Beyond for over 64 MiB of one, 96 MiB of all."""
        found: dict[str, bytes] = {}
        total = 0
        for name in names:
            with _failures(), self._archive.open(self._infos[name]) as stream:
                content = stream.read(_MAX_MEMBER + 1)
            total += len(content)
            if len(content) > _MAX_MEMBER or total > _MAX_TOTAL:
                raise Beyond("its members are too large to compare")
            found[name] = content
        return found

    def pieces(self, name: str) -> Iterator[bytes]:
        """A member of any size, a piece at a time."""
        with _failures():
            stream = self._archive.open(self._infos[name])
        with stream:
            while True:
                with _failures():
                    piece = stream.read(_PIECE)
                if not piece:
                    return
                self._left -= len(piece)
                if self._left < 0:
                    raise Beyond(f"it unpacks to more than {_MAX_STREAMED >> 30} GiB")
                if time.monotonic() > self._deadline:
                    raise Beyond(f"it takes more than {self._seconds:.0f} seconds to read")
                yield piece


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError) as error:
        raise Malformed(f"{error}") from None
    except (NotImplementedError, RuntimeError) as error:
        # Encrypted, or packed in a way zipfile does not know.
        raise Beyond(f"a member cannot be unpacked: {error}") from None
