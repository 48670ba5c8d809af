"""Two tables side by side in one pass, in bounded memory: what is the same is skipped."""

from __future__ import annotations

import csv

from repro.compare.linestream import Lines, skip_same
from repro.compare.tablecells import Row, Table

_COUNTED = 8 << 20
"""Up to this size every number is counted; of larger files only those of rows that differ."""
_AGAIN = 64
_LOOK = 24
_MATCH = 3
_MAX_LOOKS = 2000
_MAX_DIFFERENCES = 1_000_000


def walk(sides: tuple[Lines, Lines], table: Table, *, whole: int) -> None:
    """Give every pair of rows to ``table``; ``whole`` is the size of the larger file.

    Where one side has rows more, the rows behind them are found again up to 24 lines on.
    After a million differences the rest is not looked at, which is noted.
    """
    readers = [csv.reader(side, delimiter=table.delimiter, strict=True) for side in sides]
    skipping, looks = whole > _COUNTED, 0
    old, new = sides
    alike = _AGAIN
    while True:
        if skipping and alike >= _AGAIN and table.counts[0]:
            table.same(skip_same(old, new))
            alike = 0
        heads = old.ahead(1), new.ahead(1)
        if not heads[0] and not heads[1]:
            return
        if skipping and heads[0] == heads[1] and table.counts[0] and b'"' not in heads[0][0]:
            old.take(), new.take()
            table.same(1)
            alike += 1
            continue
        if heads[0] != heads[1] and looks < _MAX_LOOKS and all(heads):
            looks += 1
            _align(sides, table, readers)
        table.pair(_row(old, readers[0]), _row(new, readers[1]))
        alike = alike + 1 if heads[0] == heads[1] else 0
        if table.findings.count > _MAX_DIFFERENCES:
            table.findings.note(f"rows after {old.number} were not looked at")
            return


def _align(sides: tuple[Lines, Lines], table: Table, readers: list[csv.Reader]) -> None:
    """Where the next lines of one side are the coming ones of the other: rows added or missing."""
    ahead = [side.ahead(_LOOK + _MATCH) for side in sides]
    if any(len(lines) <= 1 for lines in ahead) or any(b'"' in line for line in ahead[0] + ahead[1]):
        return
    for side in (0, 1):
        wanted = ahead[1 - side][:_MATCH]
        for start in range(1, min(_LOOK, len(ahead[side]))):
            if ahead[side][start : start + _MATCH] == wanted:
                for _ in range(start):
                    row = _row(sides[side], readers[side])
                    table.pair(*((row, None) if side == 0 else (None, row)))
                return


def _row(side: Lines, reader: csv.Reader) -> Row | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        raise side.malformed(str(error)) from None
