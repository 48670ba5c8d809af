"""Workbooks as cells: what the readers of xlsx and ods give, and how two are compared."""

from __future__ import annotations

from collections.abc import Mapping

from repro.compare.findings import Findings
from repro.compare.numbers import is_whole, read_number
from repro.primitives.frozen import field, frozen

MAX_CELLS = 1_000_000


@frozen
class Cell:
    """``kind`` is number, text, boolean, date, time or error; ``text`` as stored."""

    kind: str
    text: str
    formula: str = ""
    note: str = ""


@frozen
class Sheet:
    """A sheet's cells by their address (``B3``); empty cells are left out."""

    name: str
    hidden: bool
    cells: Mapping[str, Cell]


@frozen
class Book:
    """Sheets in their order, named ranges, and the parts of the ZIP they were read from."""

    sheets: tuple[Sheet, ...]
    names: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)


def address(row: int, column: int) -> str:
    """The name of a cell; both count from 1."""
    letters = ""
    while column > 0:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return f"{letters}{row}"


def compare_books(old: Book, new: Book, findings: Findings) -> None:
    """Compare sheets (names, order, hidden or not), named ranges and every cell."""
    names = [[f"{s.name}{' (hidden)' * s.hidden}" for s in book.sheets] for book in (old, new)]
    if names[0] != names[1]:
        findings.differ("the workbook", "other sheets", ", ".join(names[0]), ", ".join(names[1]))
    for name in sorted(old.names.keys() | new.names.keys()):
        one, two = old.names.get(name), new.names.get(name)
        if one != two:
            findings.differ(f"name {name}", "the named range differs", one, two)
    others = {sheet.name: sheet for sheet in new.sheets}
    for sheet in old.sheets:
        if sheet.name in others:
            _sheets(sheet, others[sheet.name], findings)


def _sheets(old: Sheet, new: Sheet, findings: Findings) -> None:
    before = findings.count
    compare_cells(old, new, findings)
    last = [max(map(row_number, sheet.cells), default=0) for sheet in (old, new)]
    if last[0] != last[1]:
        findings.explain(f"{old.name}: {abs(last[0] - last[1])} more or fewer rows", once=True)
    elif findings.count > before + 1 and _rows(old) == _rows(new):
        findings.explain(
            f"{old.name} holds the same rows in another order: perhaps unordered", once=True
        )


def row_number(place: str) -> int:
    """The number in a cell's address."""
    return int(place.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))


def _rows(sheet: Sheet) -> list[list[tuple[str, str, str, str]]]:
    """The rows of a sheet as a multiset, formulas aside: they name the places of others."""
    found: dict[str, list[tuple[str, str, str, str]]] = {}
    for place, cell in sheet.cells.items():
        row = place.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        shown = (place[: -len(row)], cell.kind, cell.text, cell.note)
        found.setdefault(row, []).append(shown)
    return sorted(map(sorted, found.values()))


def compare_cells(old: Sheet, new: Sheet, findings: Findings) -> None:
    """Compare the cells of two sheets, or of some rows, place by place."""
    for place, cell in old.cells.items():
        other = new.cells.get(place)
        where = f"{old.name}!{place}"
        if other is None:
            findings.differ(where, "empty in the rerun's file", cell.text, None)
        elif cell != other:
            _cells(where, cell, other, findings)
        elif cell.kind == "number":
            findings.tally.equal(1)
    for place, cell in new.cells.items():
        if place not in old.cells:
            findings.differ(f"{old.name}!{place}", "empty in the recorded file", None, cell.text)


def _cells(where: str, old: Cell, new: Cell, findings: Findings) -> None:
    if old.formula != new.formula:
        findings.differ(where, "the formula differs", old.formula, new.formula)
    if old.note != new.note:
        findings.differ(where, "the note differs", old.note, new.note)
    first, second = read_number(old.text), read_number(new.text)
    if old.kind != new.kind:
        shown = [f"{cell.kind} {cell.text}" for cell in (old, new)]
        findings.differ(where, "another kind of value", *shown)
    elif old.kind != "number" or first is None or second is None:
        if old.text != new.text:
            findings.differ(where, "the value differs", old.text, new.text)
    elif is_whole(old.text) and is_whole(new.text):
        if not findings.tally.whole(where, int(old.text), int(new.text)):
            findings.differ(where, "an integer differs", old.text, new.text)
    else:
        if first == second and old.text != new.text:
            findings.drop(f"how numbers are written ({old.text} / {new.text})")
        findings.number(where, first, second, (old.text, new.text))
