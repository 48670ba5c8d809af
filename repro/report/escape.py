"""Strings from strangers as HTML: escaped, control and bidi characters made visible."""

from __future__ import annotations

import html

from repro.primitives.texts import printable

_LONGEST = 20_000


def esc(value: object, limit: int = 2000) -> str:
    """One line of text for an element or a quoted attribute."""
    text = str(value)
    if len(text) > limit or not text.isprintable():
        text = printable(text, limit)
    return html.escape(text, quote=True)


def esc_block(value: object, limit: int = _LONGEST) -> str:
    """Text of several lines: line ends and tabs stay, all else as ``esc``."""
    text = str(value)
    cut = "\n…" if len(text) > limit else ""
    return "\n".join(_line(line) for line in text[:limit].split("\n")) + cut


def _line(line: str) -> str:
    if line.isprintable():
        return html.escape(line)
    return "\t".join(esc(part, 8 * len(part) + 8) for part in line.split("\t"))
