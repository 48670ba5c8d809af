"""Whether a GIF is whole: its blocks are walked to the trailer (GIF89a, W3C copy of 1990)."""

from __future__ import annotations

from repro.compare.base import Malformed

_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B


def check_gif(data: bytes) -> None:
    """Raises Malformed when a block is cut off, unknown, or something follows the trailer."""
    position = 13 + _colours(data, 10)
    try:
        while data[position] != _TRAILER:
            if data[position] == _IMAGE:
                position += 11 + _colours(data, position + 9)
            elif data[position] == _EXTENSION:
                position += 2
            else:
                raise Malformed("a GIF's block is of an unknown kind")
            while data[position]:
                position += 1 + data[position]
            position += 1
    except IndexError:
        raise Malformed("the GIF ends too early") from None
    if position + 1 != len(data):
        raise Malformed("there are bytes after the GIF's end")


def _colours(data: bytes, place: int) -> int:
    """Bytes of a colour table, from the packed field at ``place``."""
    packed = data[place] if place < len(data) else 0
    return 3 << ((packed & 7) + 1) if packed & 0x80 else 0
