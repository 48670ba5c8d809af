"""PNG and JPEG: metadata removed; PNG pixels compared exactly, a share only if declared."""

from __future__ import annotations

from repro.compare.base import Beyond, Comparator, Malformed, Task, parse_both
from repro.compare.findings import Findings
from repro.compare.pixels import LIMIT, PixelCount, compare_pixels
from repro.compare.raster import SIGNATURE, Png, parse_png, scanlines
from repro.model.verdict import Comparison

_METADATA = {
    b"tEXt": "text", b"zTXt": "text", b"iTXt": "text", b"tIME": "the time of writing",
    b"pHYs": "the printed size (pHYs)", b"eXIf": "camera data (Exif)", b"hIST": "the histogram",
}  # fmt: skip


class PngComparator(Comparator):
    """PNG of any kind. Without the author's word every pixel counts.

    Same pixels are EQUIVALENT. CLOSE when no channel of any pixel is off by more than
    2/255, or when ``max_pixels`` is declared and no larger share of the pixels is.
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
            return findings.result(size)
        try:
            count = compare_pixels(one, two, left, right)
        except Malformed as error:
            # Which side is of no matter: what cannot be decoded was not compared.
            raise Beyond(f"a picture cannot be decoded: {error}") from None
        return findings.result(_judge(count, findings, size))


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


def _judge(count: PixelCount, findings: Findings, size: str) -> str:
    if not count.differ:
        findings.drop("how the pixels are packed")
        return size
    share = f"{100 * count.differ / count.total:.2g} % of pixels differ"
    largest = f"by at most {round(count.largest * 255)}/255"
    where = "the picture"
    if count.box is not None:
        left, top, right, bottom = count.box
        where = f"columns {left}-{right}, rows {top}-{bottom}"
    settings = findings.settings
    if not count.beyond:
        findings.near()
        findings.note(f"no channel of any pixel is off by more than 2/255 ({where})")
    elif (
        settings.max_pixels is not None
        and settings.min_ssim is None
        and (count.beyond <= settings.max_pixels * count.total)
    ):
        findings.allow("max_pixels", f"{settings.max_pixels:g}")
    else:
        findings.differ(where, f"{share}, {largest}")
        if settings.min_ssim is not None:
            findings.note(
                "min_ssim is declared, but this version cannot measure it: no share of pixels is allowed"
            )
    if count.beyond:
        beyond = f"{100 * count.beyond / count.total:.2g} %"
        findings.note(f"{beyond} of the pixels are off by more than {LIMIT * 255:.0f}/255")
    return f"{share}, {largest}"


class JpegComparator(Comparator):
    """JPEG: equal but for Exif and comments, or undecided; pixels are not decoded."""

    name = "jpeg/1"
    rank = 21
    suffixes = (".jpg", ".jpeg")
    magic = (b"\xff\xd8\xff",)

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        one, two = parse_both(_segments, old, new)
        findings = self._findings(task)
        for name, left, right in zip(("Exif data", "a comment"), one[:2], two[:2], strict=True):
            if left != right:
                findings.drop(f"metadata: {name}")
        if one[2] != two[2]:
            findings.undecided("JPEG pixels, which this version does not decode; write PNG")
        return findings.result("a JPEG picture")


def _segments(data: bytes) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """The Exif segments, the comments and everything else (ITU T.81, annex B)."""
    exif: list[bytes] = []
    comments: list[bytes] = []
    rest: list[bytes] = []
    position = 2
    if not data.startswith(b"\xff\xd8") or not data.endswith(b"\xff\xd9"):
        raise Malformed("it does not begin and end like a JPEG")
    while data[position : position + 1] == b"\xff":
        marker = data[position + 1]
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        segment = data[position:end]
        if end > len(data) or end < position + 4:
            raise Malformed("it ends inside a segment")
        if marker == 0xDA:
            rest.append(data[position:])
            return exif, comments, rest
        exif_like = marker in (0xE1, 0xED) and segment[4:8] in (b"Exif", b"http", b"Phot")
        (comments if marker == 0xFE else exif if exif_like else rest).append(segment)
        position = end
    raise Malformed("it has no picture")
