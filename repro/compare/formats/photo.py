"""JPEG, TIFF, GIF, WebP and BMP through the optional Pillow in a sealed child."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import ClassVar

from repro.compare.arrays import Array
from repro.compare.base import Comparator, Malformed, Task, parse_both
from repro.compare.child import reader
from repro.compare.contents import Content, Leaf, compare_contents, compare_leaves
from repro.compare.findings import Findings
from repro.compare.gif import check_gif
from repro.compare.jpeg import orientation, segments
from repro.compare.pixels import PixelCount, brightness
from repro.compare.visible import judge_pixels, mean_ssim
from repro.model.verdict import Comparison

_METADATA = "metadata, "


class PhotoComparator(Comparator):
    """Decoded samples under the rules of pictures; frames, profiles and positions exact.

    Samples that are no 8 or 16 bits wide (maps of floats) have the tolerance of numbers.
    """

    name = "photo/1"
    rank = 19
    suffixes: ClassVar[tuple[str, ...]] = (".gif", ".tif", ".tiff", ".webp", ".bmp")
    magic: ClassVar[tuple[bytes, ...]] = (b"GIF8", b"II*\0", b"MM\0*", b"BM")
    kinds: ClassVar[tuple[str, ...]] = ("photo",)

    def accepts(self, path: str, head: bytes) -> bool:
        """By name or first bytes; WebP's are inside a RIFF, BMP's are too short to be a sign."""
        if head.startswith(b"BM") and not path.lower().endswith(".bmp"):
            return False
        return super().accepts(path, head) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(self._content, old, new)
        findings = self._findings(task)
        return findings.result(_pictures(left, right, findings))

    def _content(self, data: bytes) -> Content:
        if not data.startswith(self.magic) and data[:4] + data[8:12] != b"RIFFWEBP":
            raise Malformed("it does not begin like a picture")
        # Pillow shows what is there of a picture that was cut off.
        if data.startswith(b"GIF8"):
            check_gif(data)
        elif data.startswith(b"RIFF") and int.from_bytes(data[4:8], "little") + 8 != len(data):
            raise Malformed("it has another length than its header says")
        return reader("pictures")(data)


class JpegComparator(PhotoComparator):
    """JPEG: equal but for Exif and comments without any library; else decoded."""

    name = "jpeg/1"
    rank = 21
    suffixes = (".jpg", ".jpeg")
    magic = (b"\xff\xd8\xff",)
    kinds = ()

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        one, two = parse_both(segments, old, new)
        findings = self._findings(task)
        for name, left, right in zip(("Exif data", "a comment"), one[:2], two[:2], strict=True):
            if left != right:
                findings.drop(f"metadata: {name}")
        turned = orientation(one[0]), orientation(two[0])
        if turned[0] != turned[1]:
            findings.differ("orientation", "the picture is turned", *map(str, turned))
        if one[2] == two[2]:
            return findings.result("a JPEG picture")
        contents = parse_both(reader("pictures"), old, new)
        return findings.result(_pictures(*contents, findings))


def _pictures(old: Content, new: Content, findings: Findings) -> str:
    metadata = [place for place in {**old, **new} if place.startswith(_METADATA)]
    for place in metadata:
        if old.get(place) != new.get(place):
            findings.drop(place)
    frames = [place for place in old if isinstance(old[place], Array) and place in new]
    apart = {*metadata, *frames}
    compare_contents(_without(old, apart), _without(new, apart), findings)
    said = [_frame(place, old[place], new[place], findings) for place in frames]
    findings.otherwise("how the pixels are packed, or metadata")
    return "; ".join(said[:3])


def _without(content: Content, places: set[str]) -> Content:
    return {place: leaf for place, leaf in content.items() if place not in places}


def _frame(place: str, old: Leaf, new: Leaf, findings: Findings) -> str:
    if not (isinstance(old, Array) and isinstance(new, Array)):
        findings.differ(place, "another kind of value", str(old), str(new))
        return "another kind of value"
    size = f"{' x '.join(map(str, old.shape[1::-1]))} pixels"
    if old == new:
        return size
    if (old.type, old.shape) != (new.type, new.shape):
        findings.differ(place, "another size or kind of pixel", str(old), str(new))
        return "another size or kind of pixel"
    if old.plain not in ("u1", "u2"):
        compare_leaves(old, new, findings, place)
        return size
    similarity = functools.partial(_similarity, old, new)
    return judge_pixels(_count(old, new), findings, size, similarity)


def _similarity(old: Array, new: Array) -> float | None:
    return mean_ssim(_luma(old), _luma(new))


def _rows(array: Array) -> Iterator[tuple[bytes, int, int]]:
    """Rows of samples, the channels of a pixel, and the largest value."""
    height, width, channels = (*array.shape, 1)[:3]
    step = width * channels * int(array.plain[1:])
    full = 255 if array.plain == "u1" else 65535
    for row in range(height):
        yield array.data[row * step : (row + 1) * step], channels, full


def _pixels(row: bytes, channels: int, full: int) -> list[tuple[int, ...]]:
    samples = list(row if full == 255 else memoryview(row).cast("H"))
    return list(zip(*[iter(samples)] * channels, strict=True))


def _luma(array: Array) -> Iterator[list[float]]:
    for row, channels, full in _rows(array):
        yield [brightness(pixel, full) for pixel in _pixels(row, channels, full)]


def _count(old: Array, new: Array) -> PixelCount:
    count = PixelCount(total=max(1, old.shape[0] * old.shape[1]))
    for number, (one, two) in enumerate(zip(_rows(old), _rows(new), strict=True)):
        if one[0] == two[0]:
            continue
        for column, (left, right) in enumerate(zip(_pixels(*one), _pixels(*two), strict=True)):
            if left != right:
                gap = max(abs(a - b) for a, b in zip(left, right, strict=True)) / one[2]
                count.take(column, number, gap, placed=True)
    return count
