"""Workbooks too large to hold: the sheets of both sides are compared row by row."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

from repro.compare.base import Beyond, Damaged, Malformed
from repro.compare.findings import Findings
from repro.compare.sheets import Book, Cell, Sheet, compare_books, compare_cells, row_number
from repro.primitives.frozen import frozen

_MAX_DIFFERENCES = 1_000_000
Rows = Iterator[tuple[int, int, Mapping[str, Cell]]]
"""The number of a sheet, the number of a row, and its cells by their address."""


@frozen
class LargeBook:
    """A workbook: ``book`` without cells, ``parts`` but for the sheets, and what gives rows."""

    book: Book
    parts: Mapping[str, bytes]
    rows: Callable[[], Rows]


@contextlib.contextmanager
def blamed(side: str) -> Iterator[None]:
    """What is malformed inside is this side's damage."""
    try:
        yield
    except Malformed as error:
        raise Damaged(f"the {side} file is malformed: {error}") from None


def rows_of(cells: Mapping[str, Cell]) -> Iterator[tuple[int, dict[str, Cell]]]:
    """Cells in the order they come, by row."""
    number = 0
    row: dict[str, Cell] = {}
    for place, cell in cells.items():
        at = row_number(place)
        if at != number and row:
            yield number, row
            row = {}
        number = at
        row[place] = cell
    if row:
        yield number, row


def compare_large(old: LargeBook, new: LargeBook, findings: Findings) -> int:
    """Compare two workbooks as ``compare_books`` does, holding one row of each; how many rows.

    Where sheets differ their cells are not looked at, and what comes after a million differences
    neither; both are noted. Raises Damaged, and Beyond for rows that do not come in their order.
    """
    compare_books(old.book, new.book, findings)
    names = [sheet.name for sheet in old.book.sheets]
    if names != [sheet.name for sheet in new.book.sheets]:
        findings.note("not compared further: cells, as the sheets are others")
        return 0
    left, right = _Side("recorded", old.rows()), _Side("rerun's", new.rows())
    count = 0
    last: dict[int, list[int]] = {}
    while left.key is not None or right.key is not None:
        key = min(key for key in (left.key, right.key) if key is not None)
        sides = [side.take(key) for side in (left, right)]
        for number, cells in enumerate(sides):
            if cells:
                last.setdefault(key[0], [0, 0])[number] = key[1]
        count += bool(sides[0])
        _row(names[key[0]], sides[0], sides[1], findings)
        if findings.count > _MAX_DIFFERENCES:
            findings.note("what comes after a million differences was not looked at")
            return count
    for sheet, (one, two) in last.items():
        if one != two:
            text = f"{names[sheet]}: {abs(one - two)} more or fewer rows"
            findings.explain(text, once=True)
    return count


def _row(name: str, old: Mapping[str, Cell], new: Mapping[str, Cell], findings: Findings) -> None:
    if old == new:
        findings.tally.equal(sum(cell.kind == "number" for cell in old.values()))
        return
    one, two = (Sheet(name=name, hidden=False, cells=cells) for cells in (old, new))
    compare_cells(one, two, findings)


class _Side:
    """The rows of one side; ``key`` is the place of the next one, None at the end."""

    def __init__(self, name: str, rows: Rows) -> None:
        self._name = name
        self._rows = rows
        self.key: tuple[int, int] | None = (-1, 0)
        self._cells: Mapping[str, Cell] = {}
        self._next()

    def take(self, key: tuple[int, int]) -> Mapping[str, Cell]:
        """The cells of a row; none where the next one is another."""
        if self.key != key:
            return {}
        cells = self._cells
        self._next()
        return cells

    def _next(self) -> None:
        with blamed(self._name):
            found = next(self._rows, None)
        before = self.key
        self.key = None if found is None else found[:2]
        self._cells = {} if found is None else found[2]
        if self.key is not None and before is not None and self.key <= before:
            raise Beyond("the rows of a large sheet do not come in their order")
