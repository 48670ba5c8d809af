"""Decompression with a bound on what comes out, whatever a file claims."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

import zstandard

from repro.compare.base import Beyond, Malformed

MAX_INFLATED = 64 << 20
_LZMA_MEMORY = 128 << 20
_ZSTD_WINDOW = 128 << 20
# One block of zstd (RFC 8878, 3.1.1.2) turns 4 bytes into 128 KiB at most.
_ZSTD_PIECE = 1 << 10


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


def inflate_exactly(data: bytes, size: int) -> bytes:
    """One zlib stream that gives ``size`` bytes. Raises Malformed for any other."""
    engine = zlib.decompressobj()
    try:
        found = engine.decompress(data, size + 1)
    except zlib.error as error:
        raise Malformed(f"its compressed data are damaged ({error})") from None
    if len(found) != size or not engine.eof or engine.unused_data:
        raise Malformed("its compressed data have another length than its header says")
    return found


def inflate_zlib(data: bytes, limit: int = MAX_INFLATED) -> bytes:
    """One zlib stream, at most ``limit`` bytes. Raises Malformed or Beyond."""
    return _members(data, zlib.decompressobj, limit, "zlib", single=True)


def gunzip(data: bytes, limit: int = MAX_INFLATED) -> bytes:
    """All members of a gzip file (RFC 1952)."""
    return _members(data, lambda: zlib.decompressobj(31), limit, "gzip")


def unbzip(data: bytes, limit: int = MAX_INFLATED) -> bytes:
    """All streams of a bzip2 file."""
    return _members(data, bz2.BZ2Decompressor, limit, "bzip2")


def unxz(data: bytes, limit: int = MAX_INFLATED) -> bytes:
    """All streams of an xz file."""
    return _members(data, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _LZMA_MEMORY), limit, "xz")


def unzstd(data: bytes, limit: int = MAX_INFLATED) -> bytes:
    """All frames of a zstd file (RFC 8878)."""
    parts: list[bytes] = []
    left = limit
    while data:
        engine = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
        position = 0
        try:
            while position < len(data) and not engine.eof:
                part = engine.decompress(data[position : position + _ZSTD_PIECE])
                position += _ZSTD_PIECE
                parts.append(part)
                left -= len(part)
                if left < 0:
                    raise Beyond(f"its zstd data hold more than {limit} bytes")
        except zstandard.ZstdError as error:
            raise Malformed(f"its zstd data are damaged ({error})") from None
        if not engine.eof:
            raise Malformed("its zstd data end too early")
        data = engine.unused_data + data[position:]
    return b"".join(parts)


def _members(
    data: bytes,
    start: Callable[[], _Decompressor],
    limit: int,
    name: str,
    *,
    single: bool = False,
) -> bytes:
    parts: list[bytes] = []
    left = limit
    while data:
        engine = start()
        try:
            part = engine.decompress(data, left + 1)
        except (zlib.error, OSError, lzma.LZMAError, EOFError) as error:
            raise Malformed(f"its {name} data are damaged ({error})") from None
        left -= len(part)
        if left < 0:
            raise Beyond(f"its {name} data hold more than {limit} bytes")
        if not engine.eof:
            raise Malformed(f"its {name} data end too early")
        parts.append(part)
        data = b"" if single else engine.unused_data
    return b"".join(parts)
