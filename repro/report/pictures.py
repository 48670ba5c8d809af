"""Pictures of both sides: side by side, and with script as slider, blink, difference and heat map."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from repro.report.budget import Budget
from repro.report.escape import esc

_MAX_PIXELS = 60_000_000
_MAX_SVG = 3 << 20
_MODES = (
    ("side", "Side by side"),
    ("slider", "Slider"),
    ("blink", "Blink"),
    ("difference", "Difference ×4"),
    ("heat", "Heat map"),
)


@dataclass(frozen=True)
class Picture:
    """A picture that is safe to embed as ``<img>``: its media type, and its size if known."""

    media: str
    width: int | None = None
    height: int | None = None


def picture_of(data: bytes, path: str = "") -> Picture | None:
    """What kind of picture this is, or None when it is none or too large to be shown.

    A raster whose size cannot be read is not shown: a small file can unfold to gigabytes.
    """
    found = _raster(data)
    if found is not None:
        width, height = found.width or 0, found.height or 0
        return found if 0 < width * height <= _MAX_PIXELS else None
    if path.lower().endswith(".svg") and len(data) <= _MAX_SVG:
        head = data[:2000].lstrip()
        # Inside <img> no script runs and nothing is loaded; entities could still unfold.
        if head.startswith((b"<?xml", b"<svg", b"<!DOCTYPE")) and b"<!ENTITY" not in data:
            return Picture("image/svg+xml")
    return None


def _raster(data: bytes) -> Picture | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
        width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
        return Picture("image/png", width, height)
    if data[:6] in (b"GIF87a", b"GIF89a"):
        width, height = int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
        return Picture("image/gif", width, height)
    return _jpeg(data) if data.startswith(b"\xff\xd8\xff") else None


def _jpeg(data: bytes) -> Picture:
    position = 2
    while data[position : position + 1] == b"\xff" and position + 9 < len(data):
        marker = data[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height = int.from_bytes(data[position + 5 : position + 7], "big")
            return Picture(
                "image/jpeg", int.from_bytes(data[position + 7 : position + 9], "big"), height
            )
        position += 2 + max(2, int.from_bytes(data[position + 2 : position + 4], "big"))
    return Picture("image/jpeg")


def pair_of_pictures(
    path: str, old: bytes | None, new: bytes | None, budget: Budget, *, name: str | None = None
) -> str:
    """Both pictures as one block of the page; empty when neither can be shown.

    ``path`` tells the kind, ``name`` (default the path) what it is called.
    """
    title = path if name is None else name
    kinds = [None if side is None else picture_of(side, path) for side in (old, new)]
    if not any(kinds):
        return ""
    size = sum(len(side) * 4 // 3 for side in (old, new) if side is not None)
    if not budget.take(size, title):
        return '<p class="soft">The pictures are too large for this page.</p>'
    sides = [
        _side(word, title, data, kind)
        for word, data, kind in zip(("Recorded", "Rerun"), (old, new), kinds, strict=True)
    ]
    controls = _controls(title) if all(kinds) else ""
    return f'<div class="pair" data-mode="side">{controls}<div class="stage">{"".join(sides)}</div></div>'


def single_picture(path: str, data: bytes, budget: Budget) -> str:
    """One picture that both sides share; empty when it cannot be shown."""
    kind = picture_of(data, path)
    if kind is None or not budget.take(len(data) * 4 // 3, path):
        return ""
    return f'<div class="stage">{_side("Recorded and rerun", path, data, kind)}</div>'


def _side(word: str, title: str, data: bytes | None, kind: Picture | None) -> str:
    if data is None:
        inner = '<div class="none">not there</div>'
    elif kind is None:
        inner = '<div class="none">cannot be shown</div>'
    else:
        encoded = base64.b64encode(data).decode("ascii")
        size = f' width="{kind.width}" height="{kind.height}"' if kind.width else ""
        alt = esc(f"{word}: {title}", 200)
        inner = f'<img src="data:{kind.media};base64,{encoded}" alt="{alt}"{size}>'
    return f"<figure><figcaption>{word}</figcaption>{inner}</figure>"


def _controls(title: str) -> str:
    buttons = "".join(
        f'<button type="button" data-mode="{mode}" aria-pressed="{str(mode == "side").lower()}">'
        f"{label}</button>"
        for mode, label in _MODES
    )
    label = esc(f"Where the recorded picture ends: {title}", 200)
    return (
        f'<div class="modes" role="group" aria-label="How to compare">{buttons}'
        '<button type="button" data-role="zoom" aria-pressed="false">Zoom</button>'
        f'<input type="range" min="0" max="100" value="50" data-role="cut" aria-label="{label}">'
        '<span data-role="shown" role="status"></span></div>'
    )
