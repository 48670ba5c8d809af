"""A verdict as a small SVG picture for a README: nothing loaded, no font needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from repro.model.written import COMMENT
from repro.report.escape import esc
from repro.report.panels import TONES
from repro.report.tally import tally

# White text on each has a contrast of more than 5 (WCAG 2.2, 1.4.3 asks for 4.5).
_COLOURS = {"good": "#14713d", "near": "#0b5c8a", "warn": "#8a5300", "bad": "#b3211b"}
_LEFT = "reruns"
_WIDE = 6.6


def badge_svg(document: Mapping[str, Any]) -> str:
    """The badge of a ``repro.verify/1`` document.

    Colour and word follow the verdict; a partial one says so, and an open network. Its title has name, counts
    and digest for those who do not see it.
    """
    count, archive = tally(document), document.get("archive") or {}
    tone = TONES[count.verdict][1]
    if not count.reproduced and tone in ("good", "near"):
        tone = "bad"
    right = f"{count.partial}, {count.word}" if count.partial else count.word
    right = f"{right}, network open" if count.open else right
    if (count.partial or count.open) and tone == "good":
        tone = "near"
    title = (
        f"{archive.get('name', '')} reruns: {right}. {count.sentence}. {archive.get('digest', '')}"
    )
    widths = [round(len(text) * _WIDE) for text in (_LEFT, right)]
    left, whole = widths[0] + 12, sum(widths) + 24
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" '
        f'viewBox="0 0 {whole} 20" role="img" aria-labelledby="t"><!-- {COMMENT} -->'
        f'<title id="t">{esc(title, 500)}</title>'
        f'<clipPath id="r"><rect width="{whole}" height="20" rx="3"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#444b55"/>'
        f'<rect x="{left}" width="{whole - left}" height="20" fill="{_COLOURS[tone]}"/></g>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" '
        'aria-hidden="true">'
        f"{_text(6, widths[0], _LEFT)}{_text(left + 6, widths[1], right)}</g></svg>\n"
    )


def _text(x: int, width: int, text: str) -> str:
    # The width is ours, not the font's: the picture is the same with any.
    return (
        f'<text x="{x}" y="14" textLength="{width}" lengthAdjust="spacingAndGlyphs">'
        f"{esc(text, 100)}</text>"
    )
