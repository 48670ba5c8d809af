"""CSV and TSV: cell by cell, rows, columns and their order exact; floats under a tolerance."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
from collections.abc import Iterator
from typing import BinaryIO

from repro.compare.base import UNBOUNDED, Beyond, Comparator, Task, read_all
from repro.compare.linestream import Lines
from repro.compare.memory import MemoryOutput
from repro.compare.plain import decode
from repro.compare.tablecells import Row, Table, sortable
from repro.compare.tablewalk import walk
from repro.model.ports import OutputFile
from repro.model.verdict import Comparison

_MAX_FIELD = 1 << 20
_MAX_SORTED = 16 << 20
_MAX_RECODED = 64 << 20


class TableComparator(Comparator):
    """Delimited text of any size. Integers and strings are exact, whatever the tolerance.

    The options ``sort: true`` (rows in any order) and ``key: COLUMN`` (rows matched by
    that column) declare that the order of rows carries no result.
    """

    name = "csv/1"
    rank = 30
    suffixes = (".csv", ".tsv", ".tab")
    kinds = ("csv", "tsv", "table")
    max_bytes = UNBOUNDED

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        return self._compare_files(MemoryOutput(old), MemoryOutput(new), task)

    def _compare_files(self, old: OutputFile, new: OutputFile, task: Task) -> Comparison:
        csv.field_size_limit(_MAX_FIELD)
        findings = self._findings(task)
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(_open(side)) for side in (old, new)]
            sides = Lines(streams[0], "recorded"), Lines(streams[1], "rerun's")
            delimiters = [_delimiter(side) for side in sides]
            if delimiters[0] != delimiters[1]:
                findings.differ("line 1", "the columns are separated by different characters")
                return findings.result("another separator")
            table = Table(findings, delimiters[0])
            if findings.settings.sort or findings.settings.key:
                _reordered(sides, table)
            else:
                walk(sides, table, whole=max(old.size, new.size))
        return table.result(sides)


def _open(side: OutputFile) -> BinaryIO:
    """A stream of UTF-8; what is UTF-16 is small enough or refused."""
    stream = side.open()
    mark = stream.read(2)
    stream.close()
    if mark not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return side.open()
    if side.size > _MAX_RECODED:
        raise Beyond(f"UTF-16 of more than {_MAX_RECODED >> 20} MiB")
    return io.BytesIO(decode(read_all(side, _MAX_RECODED)).encode())


def _delimiter(side: Lines) -> str:
    line = b"".join(side.ahead(1))[: 1 << 16]
    try:
        text = line.decode(errors="replace") if len(line) == 1 << 16 else line.decode()
    except UnicodeDecodeError as error:
        raise side.malformed(f"byte {error.start} is not utf-8") from None
    return max("\t,;|", key=lambda char: (text.count(char), char == ","))


def _reordered(sides: tuple[Lines, Lines], table: Table) -> None:
    """Rows matched by key, or both sides sorted; the header stays where it is."""
    old, new = (_all_rows(side, table.delimiter) for side in sides)
    header = old[0] if old else []
    findings = table.findings
    missing = [name for name in findings.settings.key if name not in header]
    if missing or (new and header != new[0]):
        if missing:
            findings.note(f"key {missing[0]} is no column: rows are compared in their order")
        table.rows(old, new)
        return
    columns = [header.index(name) for name in findings.settings.key]

    def order(row: Row) -> tuple[object, ...]:
        chosen = [row[c] for c in columns if c < len(row)] if columns else row
        return tuple(sortable(cell) for cell in chosen)

    first, second = sorted(old[1:], key=order), sorted(new[1:], key=order)
    if first != old[1:] or second != new[1:]:
        findings.allow("sort", ", ".join(findings.settings.key) or "true")
        findings.drop("the order of rows, as declared")
    table.rows([*old[:1], *first], [*new[:1], *second])


def _all_rows(side: Lines, delimiter: str) -> list[Row]:
    size = 0

    def bounded() -> Iterator[str]:
        nonlocal size
        for line in side:
            size += len(line)
            if size > _MAX_SORTED:
                raise Beyond(f"more than {_MAX_SORTED >> 20} MiB of rows to sort")
            yield line

    reader = csv.reader(bounded(), delimiter=delimiter, strict=True)
    try:
        return list(reader)
    except csv.Error as error:
        raise side.malformed(str(error)) from None
