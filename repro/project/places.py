"""Where something stands in a file: searched piece by piece, told by its line."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

HEAD = 8192
"""So many bytes decide what kind of file it is."""

Find = Callable[[bytes], Iterable[tuple[int, str]]]
"""From a text to positions in it, with what stands there, in no order."""

_CHUNK = 1 << 20
_OVERLAP = 16 << 10
_CONTEXT = 256


def places(pieces: Iterator[bytes], find: Find) -> Iterator[tuple[int, str]]:
    """Line numbers (from 1) and kinds, in order of the text.

    Pieces overlap as they are searched, since a match may cross their border.
    """
    lines, first, buffer = 1, 0, b""
    last = next(pieces, None)
    while last is not None:
        coming = next(pieces, None)
        buffer += last
        end = len(buffer) if coming is None else max(first, len(buffer) - _OVERLAP)
        seen = first
        for position, kind in sorted(find(buffer)):
            if first <= position < end:
                lines += buffer.count(b"\n", seen, position)
                seen = position
                yield lines, kind
        lines += buffer.count(b"\n", seen, end)
        cut = max(0, end - _CONTEXT)
        buffer, first, last = buffer[cut:], end - cut, coming


def chunks(head: bytes, stream: BinaryIO) -> Iterator[bytes]:
    """A stream in pieces, with the ``head`` that was read of it already."""
    data = head + stream.read(_CHUNK)
    while data:
        yield data
        data = stream.read(_CHUNK)


def encoding_of(head: bytes) -> str | None:
    """The encoding of text that is full of NUL bytes though it is none of a binary's."""
    if b"\0" not in head:
        return None
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return None


def decoded(pieces: Iterator[bytes], encoding: str | None) -> Iterator[bytes]:
    """Pieces in UTF-8; as they are when ``encoding`` is None."""
    if encoding is None:
        yield from pieces
        return
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    for piece in pieces:
        yield decoder.decode(piece).encode("utf-8", "replace")
