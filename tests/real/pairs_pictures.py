"""Pictures in lossy and lossless formats, written by Pillow."""

from __future__ import annotations

import io
import struct
from typing import Any

from comparator_pairs import Case
from PIL import Image, TiffImagePlugin

WIDTH, HEIGHT = 40, 30


def picture(change: dict[tuple[int, int], tuple[int, int, int]] | None = None) -> Image.Image:
    """A gradient; ``change`` paints pixels."""
    found = Image.new("RGB", (WIDTH, HEIGHT))
    for y in range(HEIGHT):
        for x in range(WIDTH):
            found.putpixel((x, y), (x * 6 & 255, y * 8 & 255, x * y // 5 & 255))
    for place, colour in (change or {}).items():
        found.putpixel(place, colour)
    return found


RED = {(10, 10): (255, 0, 0)}
NEAR = {(10, 10): (61, 81, 21)}


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def turned(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = value
    return exif


def tiff(change: Any = None, *, tags: dict[int, Any] | None = None, **options: Any) -> bytes:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in (tags or {}).items():
        info[tag] = value
    return saved(picture(change), "TIFF", tiffinfo=info, **options)


def floats(*values: float) -> bytes:
    raw = struct.pack(f"<{len(values)}f", *values)
    return saved(Image.frombytes("F", (len(values), 1), raw), "TIFF")


def gif(*frames: Image.Image, **options: Any) -> bytes:
    first, *rest = (frame.quantize(64, dither=Image.Dither.NONE) for frame in frames)
    return saved(first, "GIF", save_all=True, append_images=rest, **options)


def cases() -> dict[str, Case]:
    """Every case by name."""
    plain, red = picture(), picture(RED)
    jpeg = saved(plain, "JPEG", quality=90)
    return {
        "photo": Case(
            "photo.jpg",
            jpeg,
            benign={
                "optimized": saved(plain, "JPEG", quality=90, optimize=True),
                "progressive": saved(plain, "JPEG", quality=90, progressive=True),
                "comment": saved(plain, "JPEG", quality=90, comment=b"hello"),
            },
            faults={
                "pixel": saved(red, "JPEG", quality=90),
                "quality": saved(plain, "JPEG", quality=30),
                "size": saved(plain.crop((0, 0, 40, 29)), "JPEG", quality=90),
                "turned": saved(plain, "JPEG", quality=90, exif=turned(6)),
                "profile": saved(plain, "JPEG", quality=90, icc_profile=b"x" * 200),
            },
            sealed=True,
        ),
        "tiff": Case(
            "map.tif",
            tiff(tags={305: "one", 33550: (1.0, 1.0, 0.0)}),
            benign={
                "software": tiff(tags={305: "two", 33550: (1.0, 1.0, 0.0)}),
                "compression": tiff(tags={305: "one", 33550: (1.0, 1.0, 0.0)},
                                    compression="tiff_lzw"),
            },
            close={"rounding": tiff(NEAR, tags={305: "one", 33550: (1.0, 1.0, 0.0)})},
            faults={
                "pixel": tiff(RED, tags={305: "one", 33550: (1.0, 1.0, 0.0)}),
                "scale of the map": tiff(tags={305: "one", 33550: (2.0, 1.0, 0.0)}),
                "software and pixel": tiff(RED, tags={305: "two", 33550: (1.0, 1.0, 0.0)}),
            },
            sealed=True,
        ),
        "tiff of floats": Case(
            "field.tif",
            floats(1.5, 2.5, float("nan")),
            faults={
                "value": floats(1.5, 2.51, float("nan")),
                "nan": floats(1.5, 2.5, 0.0),
            },
            sealed=True,
        ),
        "gif": Case(
            "film.gif",
            gif(plain, red, duration=100),
            benign={"comment": gif(plain, red, duration=100, comment=b"hello")},
            faults={
                "frame gone": gif(plain, duration=100),
                "order": gif(red, plain, duration=100),
                "speed": gif(plain, red, duration=200),
            },
            sealed=True,
        ),
        "webp": Case(
            "plot.webp",
            saved(plain, "WEBP", lossless=True),
            benign={"effort": saved(plain, "WEBP", lossless=True, method=0)},
            close={"rounding": saved(picture(NEAR), "WEBP", lossless=True)},
            faults={"pixel": saved(red, "WEBP", lossless=True)},
            sealed=True,
        ),
        "bmp": Case(
            "plot.bmp",
            saved(plain, "BMP"),
            benign={"resolution": saved(plain, "BMP", dpi=(300, 300))},
            close={"rounding": saved(picture(NEAR), "BMP")},
            faults={"pixel": saved(red, "BMP")},
            sealed=True,
        ),
    }  # fmt: skip
