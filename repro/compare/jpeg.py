"""The segments of a JPEG file (ITU T.81, annex B), and which way up it is shown (Exif)."""

from __future__ import annotations

from repro.compare.base import Malformed


def segments(data: bytes) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Exif and similar segments, comments, and everything else. Raises Malformed."""
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


def orientation(exif: list[bytes]) -> int:
    """The value of Exif's Orientation (tag 0x0112 of the first directory); 1 is upright."""
    for segment in exif:
        if segment[4:10] != b"Exif\0\0":
            continue
        body = segment[10:]
        order = "little" if body[:2] == b"II" else "big"
        start = _whole(body[4:8], order)
        count = _whole(body[start : start + 2], order)
        for number in range(count):
            entry = body[start + 2 + 12 * number : start + 14 + 12 * number]
            if len(entry) == 12 and _whole(entry[:2], order) == 0x0112:
                return _whole(entry[8:10], order)
    return 1


def _whole(data: bytes, order: str) -> int:
    return int.from_bytes(data, "little" if order == "little" else "big")
