"""PNG without a library: chunks read strictly, scanlines unfiltered (W3C PNG, 2003)."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator

from repro.compare.base import Beyond, Malformed
from repro.compare.inflate import inflate_exactly
from repro.primitives.frozen import field, frozen

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_RAW = 96 << 20
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# Adam7: first column, first row, column step, row step of each pass.
_PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
)  # fmt: skip


@frozen
class Png:
    """A parsed PNG: its header, its compressed pixels and every other chunk by type."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool
    data: bytes
    chunks: dict[bytes, list[bytes]] = field(default_factory=dict)

    @property
    def layout(self) -> tuple[int, int, int, bool]:
        """What must agree before pixels can be compared one by one."""
        return (self.width, self.height, self.depth, self.interlaced)

    @property
    def colours(self) -> tuple[object, ...]:
        """What turns the same samples into other colours."""
        return (self.colour, self.chunks.get(b"PLTE"), self.chunks.get(b"tRNS"))

    @property
    def bits(self) -> int:
        """Bits per pixel."""
        return _CHANNELS[self.colour] * self.depth

    @property
    def images(self) -> list[tuple[int, int]]:
        """Width and height of the picture, or of each pass of an interlaced one."""
        if not self.interlaced:
            return [(self.width, self.height)]
        sizes = [
            (-((x - self.width) // dx), -((y - self.height) // dy)) for x, y, dx, dy in _PASSES
        ]
        return [(w, h) for w, h in sizes if w > 0 and h > 0]

    @property
    def raw_size(self) -> int:
        """Bytes of all filtered scanlines."""
        return sum(h * (1 + (w * self.bits + 7) // 8) for w, h in self.images)


def parse_png(data: bytes) -> Png:
    """Read a PNG strictly. Raises Malformed for a broken one, Beyond for a huge one."""
    if not data.startswith(SIGNATURE):
        raise Malformed("it is no PNG")
    chunks = list(_chunks(data))
    if chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13 or chunks[-1][0] != b"IEND":
        raise Malformed("its first or last chunk is wrong")
    header = chunks[0][1]
    others: dict[bytes, list[bytes]] = {}
    pixels = []
    for kind, body in chunks[1:-1]:
        if kind == b"IDAT":
            pixels.append(body)
        else:
            others.setdefault(kind, []).append(body)
    png = Png(
        width=int.from_bytes(header[:4], "big"),
        height=int.from_bytes(header[4:8], "big"),
        depth=header[8],
        colour=header[9],
        interlaced=header[12] == 1,
        data=b"".join(pixels),
        chunks=others,
    )
    _check(png, header)
    return png


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(SIGNATURE)
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        end = position + 12 + length
        if end > len(data):
            raise Malformed("it ends inside a chunk")
        kind = data[position + 4 : position + 8]
        if zlib.crc32(data[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise Malformed(f"the checksum of chunk {kind!r} is wrong")
        yield kind, data[position + 8 : end - 4]
        position = end
        if kind == b"IEND":
            break
    else:
        raise Malformed("it has no end chunk")
    if position != len(data):
        raise Malformed("there are bytes after its end")


def _check(png: Png, header: bytes) -> None:
    if png.depth not in _DEPTHS.get(png.colour, ()) or header[10] or header[11] or header[12] > 1:
        raise Malformed("its header holds values the standard does not know")
    if not (0 < png.width < 1 << 31 and 0 < png.height < 1 << 31):
        raise Malformed("it has no size")
    for kind in png.chunks:
        if not kind.isalpha() or (not kind[0] & 0x20 and kind != b"PLTE"):
            raise Malformed(f"unknown critical chunk {kind!r}")
    if png.colour == 3 and len(png.chunks.get(b"PLTE", [])) != 1:
        raise Malformed("its palette is missing")
    if png.raw_size > _MAX_RAW:
        raise Beyond(f"its pixels take more than {_MAX_RAW >> 20} MiB")


def scanlines(png: Png) -> bytes:
    """The filtered scanlines. Raises Malformed when they are damaged."""
    return inflate_exactly(png.data, png.raw_size)


def rows_of(png: Png, raw: bytes) -> Iterator[tuple[int, bytes, bool]]:
    """Every scanline as (width, filter byte and data, whether a new pass begins)."""
    position = 0
    for width, height in png.images:
        length = 1 + (width * png.bits + 7) // 8
        for number in range(height):
            yield width, raw[position : position + length], number == 0
            position += length


def unfilter(line: bytes, above: bytes, step: int) -> bytes:
    """One scanline without its filter; ``step`` is the bytes of a pixel (at least 1)."""
    kind, row = line[0], line[1:]
    if kind == 0:
        return row
    if kind == 1:
        return _sub(row, step)
    if kind == 2:
        return _up(row, above)
    if kind == 3:
        return _average(row, above, step)
    if kind == 4:
        return _paeth(row, above, step)
    raise Malformed(f"unknown filter {kind}")


def _sub(row: bytes, step: int) -> bytes:
    out = bytearray(len(row))
    for offset in range(step):
        out[offset::step] = bytes(v & 255 for v in itertools.accumulate(row[offset::step]))
    return bytes(out)


def _up(row: bytes, above: bytes) -> bytes:
    # All bytes at once: add the low seven bits, then the top bits without their carry.
    size = len(row)
    low = int.from_bytes(b"\x7f" * size, "little")
    one, two = int.from_bytes(row, "little"), int.from_bytes(above, "little")
    total = ((one & low) + (two & low)) ^ ((one ^ two) & ~low)
    return total.to_bytes(size, "little")


def _average(row: bytes, above: bytes, step: int) -> bytes:
    out = bytearray(len(row))
    for index in range(len(row)):
        left = out[index - step] if index >= step else 0
        out[index] = (row[index] + ((left + above[index]) >> 1)) & 255
    return bytes(out)


def _paeth(row: bytes, above: bytes, step: int) -> bytes:
    out = bytearray(row)
    for offset in range(min(step, len(row))):
        left = corner = 0
        channel = bytearray()
        for value, up in zip(row[offset::step], above[offset::step], strict=True):
            if left == corner:
                # Then the guess is `up`: the commonest case in flat areas.
                guess = up
            else:
                estimate = left + up - corner
                a, b, c = abs(estimate - left), abs(estimate - up), abs(estimate - corner)
                guess = left if a <= b and a <= c else up if b <= c else corner
            left = (value + guess) & 255
            corner = up
            channel.append(left)
        out[offset::step] = channel
    return bytes(out)
