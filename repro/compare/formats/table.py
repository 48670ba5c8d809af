"""CSV and TSV: cell by cell, rows, columns and their order exact; floats under a tolerance."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator

from repro.compare.base import Beyond, Comparator, Malformed, Task, parse_both
from repro.compare.findings import Findings
from repro.compare.lines import compare_lines
from repro.compare.numbers import is_whole, read_number
from repro.compare.plain import compare_endings, decode, open_text
from repro.model.verdict import Comparison

Row = list[str]
_MAX_FIELD = 1 << 20
_MAX_SORTED = 16 << 20
_MISSING: Row = []


class TableComparator(Comparator):
    """Delimited text. Integers and strings are exact, whatever the tolerance.

    The options ``sort: true`` (rows in any order) and ``key: COLUMN`` (rows matched by
    that column) declare that the order of rows carries no result.
    """

    name = "csv/1"
    rank = 30
    suffixes = (".csv", ".tsv", ".tab")
    kinds = ("csv", "tsv", "table")

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        firsts = parse_both(_first_line, old, new)
        findings = self._findings(task)
        delimiter = _delimiter(firsts[0])
        if delimiter != _delimiter(firsts[1]):
            findings.differ("line 1", "the columns are separated by different characters")
            return findings.result("another separator")
        # One pass each to learn whether a side is malformed, before any verdict.
        shapes = parse_both(lambda data: _shape(data, delimiter), old, new)
        if shapes[0] != shapes[1]:
            _shapes_differ(shapes, findings)
        header = next(_rows(old, delimiter), _MISSING)
        pairs = _pairs(old, new, delimiter, findings)
        for number, (one, two) in enumerate(pairs, 1):
            if one != two:
                _row(number, one, two, header, findings)
            elif one is not None:
                findings.tally.equal(sum(read_number(cell) is not None for cell in one))
        compare_endings(old, new, findings)
        _packing(old, new, findings)
        return findings.result(f"{shapes[0][0]} rows x {shapes[0][1]}")


def _pairs(
    old: bytes, new: bytes, delimiter: str, findings: Findings
) -> Iterator[tuple[Row | None, Row | None]]:
    settings = findings.settings
    if not (settings.sort or settings.key):
        return itertools.zip_longest(_rows(old, delimiter), _rows(new, delimiter))
    if max(len(old), len(new)) > _MAX_SORTED:
        raise Beyond(f"more than {_MAX_SORTED >> 20} MiB of rows to sort")
    return _reordered(list(_rows(old, delimiter)), list(_rows(new, delimiter)), findings)


def _first_line(data: bytes) -> str:
    return decode(data)[: 1 << 16].split("\n", 1)[0]


def _delimiter(text: str) -> str:
    return max("\t,;|", key=lambda char: (text.count(char), char == ","))


def _rows(data: bytes, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(_MAX_FIELD)
    reader = csv.reader(open_text(data), delimiter=delimiter, strict=True)
    try:
        yield from reader
    except csv.Error as error:
        raise Malformed(f"line {reader.line_num}: {error}") from None


def _shape(data: bytes, delimiter: str) -> tuple[int, int]:
    rows = columns = 0
    for row in _rows(data, delimiter):
        rows += 1
        columns = max(columns, len(row))
    return rows, columns


def _shapes_differ(shapes: tuple[tuple[int, int], tuple[int, int]], findings: Findings) -> None:
    for what, old, new in zip(("rows", "columns"), shapes[0], shapes[1], strict=True):
        if old != new:
            findings.differ("the table", f"another number of {what}", str(old), str(new))


def _row(number: int, one: Row | None, two: Row | None, header: Row, findings: Findings) -> None:
    where = f"row {number}"
    if one is None or two is None:
        findings.differ(where, "missing" if two is None else "added", _text(one), _text(two))
    elif one[:1] and two[:1] and one[0].startswith("#") and two[0].startswith("#"):
        compare_lines(",".join(one), ",".join(two), findings, where=f"{where}, comment ")
    elif len(one) != len(two):
        findings.differ(where, "another number of cells", _text(one), _text(two))
    elif number == 1 and not any(read_number(cell) is not None for cell in one):
        findings.differ(where, "the header differs", _text(one), _text(two))
    else:
        for column, (old, new) in enumerate(zip(one, two, strict=True)):
            name = header[column] if column < len(header) else ""
            _cell(f"{where}, column {name or column + 1}", old, new, findings)


def _cell(where: str, old: str, new: str, findings: Findings) -> None:
    first = read_number(old)
    if old == new:
        findings.tally.equal(0 if first is None else 1)
        return
    second = read_number(new)
    if first is None or second is None:
        findings.differ(where, "text differs", old, new)
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


def _packing(left: bytes, right: bytes, findings: Findings) -> None:
    if (b"\r\n" in left) != (b"\r\n" in right):
        findings.drop("line endings")
    findings.otherwise("quotes, line endings or how numbers are written")


def _reordered(
    old: list[Row], new: list[Row], findings: Findings
) -> Iterator[tuple[Row | None, Row | None]]:
    """Rows matched by key, or both sides sorted; the header stays where it is."""
    header = old[0] if old else []
    missing = [name for name in findings.settings.key if name not in header]
    if missing or (new and header != new[0]):
        if missing:
            findings.note(f"key {missing[0]} is no column: rows are compared in their order")
        return itertools.zip_longest(old, new)
    columns = [header.index(name) for name in findings.settings.key]

    def order(row: Row) -> tuple[object, ...]:
        chosen = [row[c] for c in columns if c < len(row)] if columns else row
        return tuple(_sortable(cell) for cell in chosen)

    first, second = sorted(old[1:], key=order), sorted(new[1:], key=order)
    if first != old[1:] or second != new[1:]:
        findings.allow("sort", ", ".join(findings.settings.key) or "true")
        findings.drop("the order of rows, as declared")
    return itertools.chain(
        [(header, new[0] if new else None)], itertools.zip_longest(first, second)
    )


def _sortable(cell: str) -> tuple[int, float, str]:
    number = read_number(cell)
    if number is None or number != number:
        return (1, 0.0, cell)
    # Rounded, so that noise in the last digits does not move a row.
    return (0, float(f"{number:.9g}"), "")
