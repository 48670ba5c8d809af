"""What two rows of delimited text amount to, cell by cell."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from repro.compare.findings import Findings
from repro.compare.lines import compare_lines
from repro.compare.linestream import Lines
from repro.compare.numbers import is_whole, read_number
from repro.model.verdict import Comparison

Row = list[str]
_MAX_MULTISET = 50_000
_MISSING = ("", "NA", "N/A", "NULL", "null", "None", "-", ".")


class Table:
    """The comparison of two tables as their rows come in."""

    def __init__(self, findings: Findings, delimiter: str) -> None:
        self.findings = findings
        self.delimiter = delimiter
        self.counts = [0, 0]
        self.columns = [0, 0]
        self.unlisted = 0
        self.counting = True
        self._header: Row = []
        self._apart: tuple[list[tuple[str, ...]], list[tuple[str, ...]]] = ([], [])
        self._moved = self._differing = 0

    def rows(self, old: Sequence[Row], new: Sequence[Row]) -> None:
        """All rows of both sides, in the order in which they stand beside each other."""
        for one, two in itertools.zip_longest(old, new):
            self.pair(one, two)

    def same(self, count: int) -> None:
        """Rows that are the same bytes on both sides and were not taken apart."""
        self.counts = [n + count for n in self.counts]
        self.unlisted += count

    def pair(self, one: Row | None, two: Row | None) -> None:
        """Two rows that stand beside each other, or one that stands alone."""
        for side, row in enumerate((one, two)):
            if row is not None:
                self.counts[side] += 1
                self.columns[side] = max(self.columns[side], len(row))
        if self.counts[0] == 1 and one is not None:
            self._header = one
        if one == two:
            if self.counting:
                self.findings.tally.equal(sum(read_number(cell) is not None for cell in one or ()))
            return
        before = self.findings.count
        self._row(max(self.counts), one, two)
        if self.findings.count > before:
            self._remember(one, two)

    def differs(self, one: Row, two: Row) -> bool:
        """Whether two rows differ by more than noise; nothing is counted."""
        trial = Table(Findings(self.findings.comparator, self.findings.settings), self.delimiter)
        trial.counts = [1, 1]
        trial.pair(one, two)
        return trial.findings.count > 0

    def _remember(self, one: Row | None, two: Row | None) -> None:
        self._differing += 1
        if one is not None and two is not None:
            self._moved += one != two and sorted(one) == sorted(two)
        if self._differing <= _MAX_MULTISET:
            for side, row in zip(self._apart, (one, two), strict=True):
                if row is not None:
                    side.append(tuple(row))

    def _row(self, number: int, one: Row | None, two: Row | None) -> None:
        where, findings = f"row {number}", self.findings
        if one is None or two is None:
            findings.differ(where, "missing" if two is None else "added", _text(one), _text(two))
        elif one[:1] and two[:1] and one[0].startswith("#") and two[0].startswith("#"):
            compare_lines(",".join(one), ",".join(two), findings, where=f"{where}, comment ")
        elif len(one) != len(two):
            findings.differ(where, "another number of cells", _text(one), _text(two))
        elif number == 1 and not any(read_number(cell) is not None for cell in one):
            findings.differ(where, "the header differs", _text(one), _text(two))
        else:
            self._cells(where, one, two)

    def _cells(self, where: str, one: Row, two: Row) -> None:
        findings, counted = self.findings, self.counting
        for column, (old, new) in enumerate(zip(one, two, strict=True)):
            if old == new:
                if counted:
                    findings.tally.equal(read_number(old) is not None)
            else:
                name = self._header[column] if column < len(self._header) else ""
                _cell(f"{where}, column {name or column + 1}", old, new, findings)

    def result(self, sides: tuple[Lines, Lines]) -> Comparison:
        """The finished comparison; ``sides`` have been read to their end."""
        findings = self.findings
        for what, pair in (("rows", self.counts), ("columns", self.columns)):
            if pair[0] != pair[1]:
                findings.differ("the table", f"another number of {what}", *map(str, pair))
        self._explain()
        if not self.counting:
            findings.note("numbers are only counted where they are written differently")
        ends = [side.last.endswith((b"\n", b"\r")) for side in sides if side.last]
        if len(ends) == 2 and ends[0] != ends[1]:
            findings.differ("the last line", "one side does not end its last line (cut off?)")
        if sides[0].returns != sides[1].returns:
            findings.drop("line endings")
        findings.otherwise("quotes, line endings or how numbers are written")
        return findings.result(f"{self.counts[0]} rows x {self.columns[0]}")

    def _explain(self) -> None:
        """Rows or cells that only moved, and rows that one side has more."""
        if not self._differing:
            return
        if self.counts[0] != self.counts[1]:
            gap = abs(self.counts[0] - self.counts[1])
            side = "the rerun's" if self.counts[0] > self.counts[1] else "the recorded"
            self.findings.explain(f"{gap} more or fewer rows: {side} table is shorter")
        elif self._moved == self._differing:
            self.findings.explain(
                "every row that differs holds the same cells in other columns: perhaps columns "
                "were swapped"
            )
        elif self._differing <= _MAX_MULTISET and sorted(self._apart[0]) == sorted(self._apart[1]):
            self.findings.explain(
                "both hold the same rows in another order: perhaps files, sets or threads unordered"
            )


def _cell(where: str, old: str, new: str, findings: Findings) -> None:
    first, second = read_number(old), read_number(new)
    if first is None or second is None:
        missing = (first is None) != (second is None) and (
            old if first is None else new
        ) in _MISSING
        text = "a missing value beside a number" if missing else "text differs"
        findings.differ(where, text, old, new)
    elif is_whole(old.strip(" ")) and is_whole(new.strip(" ")):
        if not findings.tally.whole(where, int(old), int(new)):
            findings.differ(where, "an integer differs", old, new)
        else:
            findings.drop("how numbers are written")
    else:
        if first == second or (first != first and second != second):
            findings.drop(f"how numbers are written ({old.strip()} / {new.strip()})")
        findings.number(where, first, second, (old, new))


def _text(row: Row | None) -> str | None:
    return None if row is None else ", ".join(row)


def sortable(cell: str) -> tuple[int, float, str]:
    """The key by which cells are sorted: numbers first, by size."""
    number = read_number(cell)
    if number is None or number != number:
        return (1, 0.0, cell)
    # Rounded, so that noise in the last digits does not move a row.
    return (0, float(f"{number:.9g}"), "")
