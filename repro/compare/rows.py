"""Rows of a table that has no order of its own: as they come, or else as a multiset."""

from __future__ import annotations

from collections.abc import Sequence

from repro.compare.findings import Findings
from repro.model.verdict import Comparison

Cell = object
Row = Sequence[Cell]
"""Cells are None, bool, int, float, str, or a list with the hexadecimal form of bytes."""


def compare_rows(
    old: Sequence[Row], new: Sequence[Row], columns: Sequence[str], findings: Findings, where: str
) -> None:
    """Compare rows in the order they come; if that fails, both sides sorted.

    Integers, texts and bytes are exact, floats have the tolerance. That the order differs
    is named among what was left out.
    """
    if len(old) != len(new):
        findings.differ(where, "another number of rows", str(len(old)), str(len(new)))
        return
    found = _compare(old, new, columns, findings)
    if found.differences:
        order = _compare(_sorted(old), _sorted(new), columns, findings)
        if len(order.differences) < len(found.differences):
            findings.drop(f"{where}: the order of its rows")
            found = order
    findings.merge(where, found)


def _compare(
    old: Sequence[Row], new: Sequence[Row], columns: Sequence[str], findings: Findings
) -> Comparison:
    part = Findings(findings.comparator, findings.settings)
    for number, (one, two) in enumerate(zip(old, new, strict=True), 1):
        if one == two and all(type(a) is type(b) for a, b in zip(one, two, strict=True)):
            part.tally.equal(sum(_is_number(cell) for cell in one))
            continue
        for column, left, right in zip(columns, one, two, strict=True):
            _cell(f"row {number}, column {column}", left, right, part)
    return part.result("")


def _cell(where: str, old: Cell, new: Cell, findings: Findings) -> None:
    if isinstance(old, int) and isinstance(new, int):
        if not findings.tally.whole(where, old, new):
            findings.differ(where, "an integer differs", str(old), str(new))
    elif _is_number(old) and _is_number(new):
        pair = float(old), float(new)  # type: ignore[arg-type]
        if type(old) is not type(new) and pair[0] == pair[1]:
            findings.drop(f"{where}: how a number is stored ({old} / {new})")
        findings.number(where, *pair, (repr(old), repr(new)))
    elif old != new:
        one_missing = (old is None) != (new is None)
        text = "a missing value beside a value" if one_missing else "value differs"
        findings.differ(where, text, _show(old), _show(new))


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)


def _sorted(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: [_sortable(cell) for cell in row])


def _sortable(cell: Cell) -> tuple[int, float, str]:
    if isinstance(cell, (int, float)):
        # Rounded, so that noise in the last digits does not move a row.
        return (1, float(f"{float(min(max(cell, -1e308), 1e308)):.9g}"), "")
    return (0, 0.0, "") if cell is None else (2, 0.0, str(cell))


def _show(cell: Cell) -> str:
    if cell is None:
        return "missing"
    return f"0x{str(cell[0])[:80]}" if isinstance(cell, list) else str(cell)[:200]
