"""Two rasters of one layout, sample by sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from repro.compare.base import Beyond, Malformed
from repro.compare.raster import Png, rows_of, unfilter

MAX_SAMPLES = 24_000_000
_ALONE, _LAST_FILTER = (0, 1), 4
LIMIT = 2 / 255
"""The largest difference of a channel that rounding and anti-aliasing explain."""


@dataclass
class PixelCount:
    """What differs: ``differ`` pixels at all, ``beyond`` of them by more than 2/255.

    ``largest`` is the largest difference of a channel as a share of full scale; ``box`` is
    left, top, right and bottom (inclusive) of all that differs, None when interlaced.
    """

    total: int = 0
    differ: int = 0
    beyond: int = 0
    largest: float = 0.0
    box: tuple[int, int, int, int] | None = None

    def take(self, column: int, row: int, gap: float, *, placed: bool) -> None:
        """Count one differing pixel."""
        self.differ += 1
        self.beyond += gap > LIMIT + 1e-12
        self.largest = max(self.largest, gap)
        if placed:
            left, top, right, bottom = self.box or (column, row, column, row)
            self.box = (min(left, column), top, max(right, column), max(bottom, row))


def compare_pixels(old: Png, new: Png, left: bytes, right: bytes) -> PixelCount:
    """Count differing pixels of two pictures with the same layout.

    ``left`` and ``right`` are their filtered scanlines. Raises Beyond for more than 24
    million samples, Malformed for an unknown filter.
    """
    if max(old.raw_size, new.raw_size) > MAX_SAMPLES:
        raise Beyond(f"more than {MAX_SAMPLES // 1_000_000} million samples to compare")
    count = PixelCount(total=old.width * old.height)
    if old.colours != new.colours:
        sides = zip(_Rows(old, left).decoded(), _Rows(new, right).decoded(), strict=True)
        for number, ((width, one), (_, two)) in enumerate(sides):
            _row(number, width, (one, two), (old, new), count)
        return count
    for number, width, one, two in _apart(old, left, right):
        if one != two:
            _row(number, width, (one, two), (old, new), count)
    return count


def _apart(png: Png, left: bytes, right: bytes) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Scanlines without filters, but only where the two sides may differ.

    Where the filtered lines and what is above them are the same on both sides nothing has to
    be decoded; above a line that differs, from the last one on that needs none above it.
    """
    step = max(1, png.bits // 8)
    rows = list(zip(rows_of(png, left), rows_of(png, right), strict=True))
    known, above = 0, (b"", b"")
    together = True
    for number, ((width, one, first), (_, two, _)) in enumerate(rows):
        if max(one[0], two[0]) > _LAST_FILTER:
            raise Malformed(f"unknown filter {max(one[0], two[0])}")
        if together and one == two:
            if one[0] in _ALONE or first:
                known, above = number, (b"", b"")
            continue
        if together:
            # Both sides are the same up to here.
            for _, line, begins in (row for row, _ in rows[known:number]):
                over = above[0] if above[0] and not begins else bytes(len(line) - 1)
                above = (unfilter(line, over, step),) * 2
        blank = bytes(len(one) - 1)
        over_both = (blank, blank) if first or not above[0] else above
        above = (unfilter(one, over_both[0], step), unfilter(two, over_both[1], step))
        together = above[0] == above[1]
        known = number + 1
        yield number, width, *above


def luma(png: Png, raw: bytes) -> Iterator[list[float]]:
    """The brightness of every pixel, row by row; for pictures that are not interlaced."""
    full = 65535 if png.depth == 16 else 255
    for width, line in _Rows(png, raw).decoded():
        yield [brightness(pixel, full) for pixel in pixels(png, line, width)]


def brightness(pixel: Sequence[int], full: int = 255) -> float:
    """How bright a pixel is on white paper (ITU-R BT.601), between 0 and 255."""
    grey = 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2] if len(pixel) > 2 else pixel[0]
    if len(pixel) in (2, 4):
        grey = grey * pixel[-1] / full + (full - pixel[-1])
    return grey * 255 / full


class _Rows:
    """Scanlines without their filters, one after the other."""

    def __init__(self, png: Png, raw: bytes) -> None:
        self._png = png
        self._raw = raw

    def decoded(self) -> Iterator[tuple[int, bytes]]:
        step = max(1, self._png.bits // 8)
        above = b""
        for width, line, first in rows_of(self._png, self._raw):
            if first:
                above = bytes(len(line) - 1)
            above = unfilter(line, above, step)
            yield width, above


def _row(
    number: int, width: int, lines: tuple[bytes, bytes], pngs: tuple[Png, Png], count: PixelCount
) -> None:
    rows = [pixels(png, line, width) for png, line in zip(pngs, lines, strict=True)]
    placed = not pngs[0].interlaced
    full = 65535 if pngs[0].depth == 16 else 255
    for column, (one, two) in enumerate(zip(rows[0], rows[1], strict=True)):
        if one != two:
            gap = max(abs(a - b) for a, b in zip(one, two, strict=True)) / full
            count.take(column, number, gap, placed=placed)


def pixels(png: Png, line: bytes, width: int) -> list[tuple[int, ...]]:
    """A decoded scanline as RGBA tuples, 0-255 or (16 bit) 0-65535."""
    if png.depth == 16:
        values = [line[i] << 8 | line[i + 1] for i in range(0, len(line) - 1, 2)]
        full = 65535
    else:
        values = list(line) if png.depth == 8 else _unpack(line, png.depth)
        full = 255
    if png.colour == 3:
        table = _palette(png)
        try:
            return [table[value] for value in values[:width]]
        except IndexError:
            raise Malformed("a pixel is outside the palette") from None
    return _rgba(png, values, width, full)


def _rgba(png: Png, values: list[int], width: int, full: int) -> list[tuple[int, ...]]:
    scale = full // ((1 << png.depth) - 1) if png.depth < 8 else 1
    see_through = _transparent(png)
    if png.colour == 6:
        return list(zip(*[iter(values[: width * 4])] * 4, strict=True))
    if png.colour == 4:
        pairs = zip(values[: width * 2 : 2], values[1 : width * 2 : 2], strict=True)
        return [(grey, grey, grey, alpha) for grey, alpha in pairs]
    if png.colour == 2:
        triples = zip(*[iter(values[: width * 3])] * 3, strict=True)
        return [(*rgb, 0 if rgb == see_through else full) for rgb in triples]
    return [
        (grey * scale,) * 3 + (0 if (grey,) == see_through else full,) for grey in values[:width]
    ]


def _transparent(png: Png) -> tuple[int, ...] | None:
    chunk = (png.chunks.get(b"tRNS") or [b""])[0]
    return tuple(int.from_bytes(chunk[i : i + 2], "big") for i in range(0, len(chunk), 2)) or None


def _palette(png: Png) -> list[tuple[int, ...]]:
    colours = png.chunks[b"PLTE"][0]
    alphas = (png.chunks.get(b"tRNS") or [b""])[0]
    return [
        (*colours[3 * i : 3 * i + 3], alphas[i] if i < len(alphas) else 255)
        for i in range(len(colours) // 3)
    ]


def _unpack(line: bytes, depth: int) -> list[int]:
    mask = (1 << depth) - 1
    shifts = range(8 - depth, -1, -depth)
    return [byte >> shift & mask for byte in line for shift in shifts]
