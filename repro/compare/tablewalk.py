"""Two tables side by side in one pass, in bounded memory: what is the same is skipped."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from repro.compare.linestream import Lines, skip_same
from repro.compare.tablebulk import settle_rows
from repro.compare.tablecells import Row, Table

_COUNTED = 8 << 20
"""Up to this size every number is counted; of larger files only those of rows that differ."""
_PLAIN, _MANY = 512, 4096
_LONG = 1 << 16
_LOOK = 24
_MATCH = 3
_MAX_LOOKS = 2000
_MAX_DIFFERENCES = 1_000_000


def walk(sides: tuple[Lines, Lines], table: Table, *, whole: int) -> None:
    """Give every pair of rows to ``table``; ``whole`` is the size of the larger file.

    Where one side has rows more, the rows behind them are found again up to 24 lines on.
    After a million differences the rest is not looked at, which is noted.
    """
    readers: list[Iterator[Row]] = [
        csv.reader(side, delimiter=table.delimiter, strict=True) for side in sides
    ]
    table.counting = whole <= _COUNTED
    looks = 0
    while any(side.ahead(1) for side in sides):
        if not table.counting and table.counts[0]:
            if sides[0].ahead(1) == sides[1].ahead(1):
                table.same(skip_same(*sides))
            if _many_rows(sides, table) or _plain_rows(sides, table):
                continue
        heads = [side.ahead(1) for side in sides]
        if heads[0] != heads[1] and looks < _MAX_LOOKS and all(heads):
            looks += 1
            _align(sides, table, readers)
        for _ in range(1 if table.counting or looks < _MAX_LOOKS else _PLAIN):
            rows = _row(sides[0], readers[0]), _row(sides[1], readers[1])
            if rows == (None, None):
                break
            table.pair(*rows)
        if table.findings.count > _MAX_DIFFERENCES:
            table.findings.note(f"rows after {sides[0].number} were not looked at")
            return


def _many_rows(sides: tuple[Lines, Lines], table: Table) -> bool:
    """Take many rows at once, if all that differs in them is noise; whether that was so."""
    tally = table.findings.tally
    ahead = [side.ahead(_MANY) for side in sides]
    if not tally.located or len(ahead[0]) != len(ahead[1]):
        return False
    settled = settle_rows(ahead[0], ahead[1], table.delimiter, tally)
    if settled is None:
        return False
    tally.take(settled)
    table.same(len(ahead[0]))
    for side in sides:
        side.drop(len(ahead[0]))
    return True


def _plain_rows(sides: tuple[Lines, Lines], table: Table) -> bool:
    """Take rows without quotes from both sides as long as they agree; whether there were any."""
    old, new = (side.ahead(_PLAIN) for side in sides)
    count = min(len(old), len(new))
    taken = 0
    before = table.findings.count
    for one, two in zip(old[:count], new[:count], strict=True):
        if b'"' in one or b'"' in two or len(one) + len(two) > _LONG:
            break
        if one == two:
            table.same(1)
        elif table.findings.count > before:
            # Perhaps one side has a row more: to be looked at closely.
            break
        else:
            rows = [sides[0].decode(one), sides[1].decode(two)]
            if any("\r" in row[:-2] for row in rows):
                break
            table.pair(*(row.rstrip("\r\n").split(table.delimiter) for row in rows))
        taken += 1
    for side in sides:
        side.drop(taken)
    return taken > 0


def _align(sides: tuple[Lines, Lines], table: Table, readers: list[Iterator[Row]]) -> None:
    """Where the next lines of one side are the coming ones of the other: rows added or missing."""
    ahead = [side.ahead(_LOOK + _MATCH) for side in sides]
    if not all(ahead) or any(b'"' in line for line in ahead[0] + ahead[1]):
        return
    # Noise in a column of equal values must not look like a row that is missing.
    if not table.differs(*(_first(lines, table.delimiter) for lines in ahead)):
        return
    for side in (0, 1):
        wanted = ahead[1 - side][:_MATCH]
        for start in range(1, min(_LOOK, len(ahead[side]))):
            if ahead[side][start : start + _MATCH] == wanted:
                for _ in range(start):
                    row = _row(sides[side], readers[side])
                    table.pair(*((row, None) if side == 0 else (None, row)))
                return


def _first(lines: list[bytes], delimiter: str) -> Row:
    return lines[0].decode(errors="replace").rstrip("\r\n").split(delimiter)


def _row(side: Lines, reader: Iterator[Row]) -> Row | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        raise side.malformed(str(error)) from None
