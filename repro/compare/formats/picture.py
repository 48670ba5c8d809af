"""PNG: metadata removed; pixels compared exactly, a share or a likeness only if declared."""

from __future__ import annotations

import functools

from repro.compare.base import Beyond, Comparator, Malformed, Task, parse_both
from repro.compare.findings import Findings
from repro.compare.pixels import compare_pixels, luma
from repro.compare.raster import SIGNATURE, Png, parse_png, scanlines
from repro.compare.visible import judge_pixels, mean_ssim
from repro.model.verdict import Comparison

_METADATA = {
    b"tEXt": "text", b"zTXt": "text", b"iTXt": "text", b"tIME": "the time of writing",
    b"pHYs": "the printed size (pHYs)", b"eXIf": "camera data (Exif)", b"hIST": "the histogram",
}  # fmt: skip


class PngComparator(Comparator):
    """PNG of any kind. Without the author's word every pixel counts.

    Same pixels are EQUIVALENT. CLOSE when no channel of any pixel is off by more than
    2/255, or within the declared ``max_pixels`` (no larger share is) and ``min_ssim``.
    """

    name = "png/1"
    rank = 20
    suffixes = (".png",)
    magic = (SIGNATURE,)
    kinds = ("image",)

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        one, two = parse_both(parse_png, old, new)
        findings = self._findings(task)
        _metadata(one, two, findings)
        size = f"{one.width} x {one.height} pixels"
        if one.layout != two.layout:
            findings.differ("the picture", "another size or kind of pixel", _kind(one), _kind(two))
            return findings.result("another size or kind of pixel")
        left, right = parse_both(lambda data: scanlines(parse_png(data)), old, new)
        if left == right and one.colours == two.colours:
            findings.otherwise("how the pixels are packed")
            return findings.result(size)
        try:
            count = compare_pixels(one, two, left, right)
        except Malformed as error:
            # Which side is of no matter: what cannot be decoded was not compared.
            raise Beyond(f"a picture cannot be decoded: {error}") from None
        similarity = functools.partial(_similarity, one, two, left, right)
        return findings.result(judge_pixels(count, findings, size, similarity))


def _kind(png: Png) -> str:
    names = {0: "grey", 2: "RGB", 3: "palette", 4: "grey+alpha", 6: "RGBA"}
    lace = " interlaced" if png.interlaced else ""
    return f"{png.width} x {png.height} {names[png.colour]} {png.depth} bit{lace}"


def _metadata(one: Png, two: Png, findings: Findings) -> None:
    for kind in sorted(one.chunks.keys() | two.chunks.keys()):
        if one.chunks.get(kind) == two.chunks.get(kind) or kind in (b"PLTE", b"tRNS"):
            continue
        name = kind.decode("ascii")
        if kind in _METADATA:
            findings.drop(f"metadata {name}: {_METADATA[kind]}")
        else:
            # Colour profiles, gamma, animation frames: they change what is seen.
            findings.differ(f"chunk {name}", "it changes how the picture is shown")


def _similarity(one: Png, two: Png, left: bytes, right: bytes) -> float | None:
    # The rows of an interlaced picture do not come in their order.
    return None if one.interlaced else mean_ssim(luma(one, left), luma(two, right))
