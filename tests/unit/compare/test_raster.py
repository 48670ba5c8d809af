from __future__ import annotations

import random
import struct
import zlib

import pytest

from repro.compare.base import Beyond, Malformed
from repro.compare.pixels import compare_pixels, pixels
from repro.compare.raster import SIGNATURE, Png, parse_png, rows_of, scanlines, unfilter


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def build(
    width: int, height: int, depth: int, colour: int, raw: bytes, *extra: bytes, lace: int = 0
) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, lace)
    return (
        SIGNATURE + chunk(b"IHDR", head) + b"".join(extra)
        + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    )  # fmt: skip


def reference(line: bytes, above: bytes, step: int) -> bytes:
    """The filters as the standard writes them."""
    out: list[int] = []
    for i, value in enumerate(line[1:]):
        a = out[i - step] if i >= step else 0
        b = above[i]
        c = above[i - step] if i >= step else 0
        p = a + b - c
        near = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
        out.append((value + (0, a, b, (a + b) // 2, near)[line[0]]) & 255)
    return bytes(out)


@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize("step", [1, 2, 3, 4, 6, 8])
def test_filters_agree_with_the_standard(kind: int, step: int) -> None:
    chance = random.Random(kind * 10 + step)
    for size in (step, step * 2, step * 17):
        line, above = bytes([kind]) + chance.randbytes(size), chance.randbytes(size)
        assert unfilter(line, above, step) == reference(line, above, step)


def test_small_depths_and_palettes_become_rgba() -> None:
    grey = parse_png(build(5, 1, 1, 0, b"\0\b10101000"[:2]))
    assert len(pixels(grey, b"\xa8", 5)) == 5
    assert pixels(grey, b"\xa8", 5)[:2] == [(255, 255, 255, 255), (0, 0, 0, 255)]
    table = parse_png(
        build(2, 1, 4, 3, b"\0\x01", chunk(b"PLTE", b"\1\2\3\4\5\6"), chunk(b"tRNS", b"\x80"))
    )
    assert pixels(table, b"\x01", 2) == [(1, 2, 3, 128), (4, 5, 6, 255)]
    with pytest.raises(Malformed):
        pixels(table, b"\x02\x22", 2)
    deep = parse_png(build(1, 1, 16, 2, b"\0" + bytes(6)))
    assert pixels(deep, b"\1\0\0\1\xff\xff", 1) == [(256, 1, 65535, 65535)]


def test_one_pixel_of_an_interlaced_picture_is_found() -> None:
    raw = b"".join(b"\0" + bytes(w) for w, h in ((2, 2), (1, 2), (3, 1), (2, 3), (5, 2), (4, 5), (9, 4)) for _ in range(h))  # fmt: skip
    base = parse_png(build(9, 9, 8, 0, raw, lace=1))
    assert base.raw_size == len(raw)
    changed = bytearray(raw)
    changed[-1] = 9
    other = parse_png(build(9, 9, 8, 0, bytes(changed), lace=1))
    count = compare_pixels(base, other, scanlines(base), scanlines(other))
    assert (count.differ, count.beyond, count.box) == (1, 1, None)


def test_the_box_of_what_differs() -> None:
    rows = [bytearray(10) for _ in range(8)]
    old = parse_png(build(10, 8, 8, 0, b"".join(b"\0" + r for r in rows)))
    rows[2][3], rows[5][7] = 1, 200
    new = parse_png(build(10, 8, 8, 0, b"".join(b"\0" + r for r in rows)))
    count = compare_pixels(old, new, scanlines(old), scanlines(new))
    assert (count.differ, count.beyond, count.box) == (2, 1, (3, 2, 7, 5))


def test_the_same_samples_with_another_palette_differ() -> None:
    old = parse_png(build(1, 1, 8, 3, b"\0\0", chunk(b"PLTE", b"\1\2\3")))
    new = parse_png(build(1, 1, 8, 3, b"\0\0", chunk(b"PLTE", b"\1\2\x63")))
    assert compare_pixels(old, new, b"\0\0", b"\0\0").beyond == 1


GOOD = build(2, 2, 8, 0, b"\0\1\2\0\3\4")


@pytest.mark.parametrize(
    "data",
    [
        GOOD + b"x",
        GOOD[:-1],
        GOOD[:8] + GOOD[33:],
        build(2, 2, 7, 0, b""),
        build(2, 2, 8, 5, b""),
        build(0, 2, 8, 0, b""),
        build(2, 2, 8, 3, b"\0\1\2\0\3\4"),
        build(2, 2, 8, 0, b"\0\1\2\0\3\4", chunk(b"ABCD", b"")),
        GOOD.replace(b"IDAT", b"IDAU"),
        b"\x89PNG",
    ],
)
def test_broken_pictures_are_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_png(data)


@pytest.mark.parametrize("raw", [b"", b"\0\1\2\0\3", b"\0\1\2\0\3\4\5"])
def test_scanlines_have_the_promised_length(raw: bytes) -> None:
    with pytest.raises(Malformed):
        scanlines(parse_png(build(2, 2, 8, 0, raw)))


def test_huge_pictures_are_beyond() -> None:
    with pytest.raises(Beyond):
        parse_png(build(100_000, 100_000, 8, 6, b""))


@pytest.mark.parametrize("lace", [0, 1])
@pytest.mark.parametrize("colour", [0, 6])
def test_rows_that_need_not_be_decoded_change_no_count(lace: int, colour: int) -> None:
    chance = random.Random(colour + lace)
    for _ in range(150):
        width, height = chance.randint(1, 12), chance.randint(1, 14)
        png = parse_png(build(width, height, 8, colour, b"", lace=lace))
        raw = bytearray()
        for _, line, _ in rows_of(png, bytes(png.raw_size)):
            raw += bytes([chance.choice((0, 1, 2, 3, 4, 4))]) + chance.randbytes(len(line) - 1)
        other = bytearray(raw)
        starts = [0]
        for _, line, _ in rows_of(png, bytes(raw)):
            starts.append(starts[-1] + len(line))
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(raw))
            other[place] = chance.randrange(5) if place in starts else chance.randrange(256)
        found = compare_pixels(png, png, bytes(raw), bytes(other))
        assert found.differ == _differing(png, bytes(raw), bytes(other))


def _differing(png: Png, left: bytes, right: bytes) -> int:
    """Differing pixels, with every row of both sides decoded."""
    step = max(1, png.bits // 8)
    decoded = []
    for raw in (left, right):
        above, rows = b"", []
        for _, line, first in rows_of(png, raw):
            above = reference(line, bytes(len(line) - 1) if first else above, step)
            rows.append(above)
        decoded.append(rows)
    return sum(
        one[i : i + step] != two[i : i + step]
        for one, two in zip(*decoded, strict=True)
        for i in range(0, len(one), step)
    )
