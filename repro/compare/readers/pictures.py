"""JPEG, TIFF, GIF, WebP and BMP by Pillow: every frame's samples, and what changes how it looks."""

from __future__ import annotations

import importlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from repro.compare.arrays import Array
from repro.compare.base import Beyond, Malformed
from repro.compare.contents import Blob, Leaf, Tree
from repro.compare.pixels import MAX_SAMPLES

EXTRA = "images"
FORMATS = ("JPEG", "TIFF", "GIF", "WEBP", "BMP")
_PLAIN = {
    "L": ("|u1", 1), "LA": ("|u1", 2), "RGB": ("|u1", 3), "RGBA": ("|u1", 4), "CMYK": ("|u1", 4),
    "I;16": ("<u2", 1), "I": ("<i4", 1), "F": ("<f4", 1),
}  # fmt: skip
_CONVERTED = {"1": "L", "P": "RGBA", "PA": "RGBA", "YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB",
              "RGBX": "RGB", "RGBa": "RGBA", "La": "LA", "I;16B": "I", "I;16L": "I;16"}  # fmt: skip
_ORIENTATION = 274
# Tags of TIFF that are data: where a map lies, its scale and missing value (GeoTIFF 1.1, GDAL),
# the unit of physical size in ImageJ's and OME's descriptions.
_DATA_TAGS = (33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113, 270)


def start() -> Callable[[int, bool], Callable[[], Iterable[tuple[str, Leaf]]]]:
    """Load the library and its decoders, and use each once before the lock."""
    image: Any = importlib.import_module("PIL.Image")
    image.init()
    image.MAX_IMAGE_PIXELS = None  # our own bound is lower and comes first
    sample = image.new("RGB", (16, 16), (1, 2, 3))
    for name in FORMATS:
        if name in image.SAVE:
            out = io.BytesIO()
            sample.save(out, name)
            list(_leaves(image, out.getvalue()))
    return lambda fd, in_parts: lambda: _read(image, fd)


def _read(image: Any, fd: int) -> Iterator[tuple[str, Leaf]]:
    with os.fdopen(fd, "rb") as stream:
        data = stream.read()
    try:
        yield from _leaves(image, data)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError) as error:
        if "truncated" in str(error):
            raise Malformed(f"it is cut off ({str(error)[:100]})") from None
        raise Beyond(f"Pillow cannot decode it: {str(error)[:200]}") from None


def _leaves(image: Any, data: bytes) -> Iterator[tuple[str, Leaf]]:
    with image.open(io.BytesIO(data), formats=FORMATS) as picture:
        frames = getattr(picture, "n_frames", 1)
        width, height = picture.size
        if width * height * frames * len(picture.getbands()) > MAX_SAMPLES:
            raise Beyond(f"more than {MAX_SAMPLES // 1_000_000} million samples to compare")
        yield "frames", Tree(value=frames)
        yield from _looks(picture)
        for number in range(frames):
            if frames > 1:
                picture.seek(number)
                shown = {name: picture.info.get(name) for name in ("duration", "loop")}
                yield (
                    f"frame {number}, timing",
                    Tree(value={k: _plain(v) for k, v in shown.items()}),
                )
            yield from _frame(picture, f"frame {number}")


def _looks(picture: Any) -> Iterator[tuple[str, Leaf]]:
    profile = picture.info.get("icc_profile")
    if profile:
        yield "colour profile", Blob(data=bytes(profile))
    tags = getattr(picture, "tag_v2", None) or {}
    turned = tags.get(_ORIENTATION) or picture.getexif().get(_ORIENTATION, 1)
    yield "orientation", Tree(value=_plain(turned))
    for tag in sorted(set(tags)):
        place = f"tag {tag}" if tag in _DATA_TAGS else f"metadata, tag {tag}"
        yield place, Tree(value=_plain(tags[tag]))


def _frame(picture: Any, place: str) -> Iterator[tuple[str, Leaf]]:
    mode = picture.mode
    shown = picture.convert(_CONVERTED[mode]) if mode in _CONVERTED else picture
    if shown.mode not in _PLAIN:
        raise Beyond(f"pixels of the kind {mode} are not read")
    type_, channels = _PLAIN[shown.mode]
    width, height = shown.size
    yield f"{place}, kind", Tree(value=shown.mode)
    shape = (height, width, channels) if channels > 1 else (height, width)
    yield place, Array(type=type_, shape=shape, data=shown.tobytes())


def _plain(value: Any) -> object:
    """Numbers and texts of a tag as JSON has them."""
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if value is None or isinstance(value, (int, str)):
        return value
    return float(value)
