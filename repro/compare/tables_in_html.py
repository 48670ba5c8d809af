"""HTML fragments of notebooks: cells of tables as numbers, everything else as text."""

from __future__ import annotations

import html
import re

from repro.compare.findings import Findings
from repro.compare.lines import compare_lines
from repro.compare.numbers import is_whole, read_number

_CELL = re.compile(r"(<t[dh]\b[^>]{0,2000}>)([^<]{0,2000})(</t[dh]>)")
_STYLER = re.compile(r"\bT_[0-9a-f]{5}(?=[_\"' >#{.,])|(?<=id=\")[0-9a-f]{32}(?=\")")


def compare_html(old: str, new: str, findings: Findings, *, where: str) -> None:
    """Compare two fragments. Random ids of pandas' Styler are renamed in their order.

    Floats in table cells have the tolerance, as in a CSV; the markup and all other text
    are compared as text.
    """
    left, right = _renamed(old), _renamed(new)
    if left == right:
        findings.drop(f"{where}random ids".strip())
        return
    first, second = _CELL.findall(left), _CELL.findall(right)
    if len(first) != len(second) or _CELL.sub(r"\1\3", left) != _CELL.sub(r"\1\3", right):
        compare_lines(left, right, findings, where=where)
        return
    for number, (one, two) in enumerate(zip(first, second, strict=True), 1):
        if one[1] != two[1]:
            _cell(f"{where}table cell {number}", one[1], two[1], findings)


def _cell(where: str, old: str, new: str, findings: Findings) -> None:
    left, right = html.unescape(old).strip(), html.unescape(new).strip()
    numbers = read_number(left), read_number(right)
    if numbers[0] is None or numbers[1] is None or (is_whole(left) and is_whole(right)):
        compare_lines(left, right, findings, where=f"{where} ")
    else:
        if numbers[0] == numbers[1]:
            findings.drop("how numbers are written")
        findings.number(where, numbers[0], numbers[1], (left, right))


def _renamed(text: str) -> str:
    seen: dict[str, str] = {}
    return _STYLER.sub(lambda match: seen.setdefault(match.group(0), f"id{len(seen)}"), text)
