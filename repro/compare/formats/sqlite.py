"""SQLite: schema and rows of every table, read in a sealed child; counters and free pages not."""

from __future__ import annotations

from typing import Any

from repro.compare.base import Beyond, Comparator, Task, parse_both
from repro.compare.child import reader
from repro.compare.contents import Content, Leaf, Tree, compare_contents
from repro.compare.findings import Findings
from repro.compare.rows import compare_rows
from repro.model.verdict import Comparison

_MAGIC = b"SQLite format 3\0"
# The time of saving in a GeoPackage (OGC 12-128r19, table 4).
_DATES = {"table gpkg_contents": "last_change"}


class SqliteComparator(Comparator):
    """A database file. Rows have no order; a table's rows are compared as a multiset."""

    name = "sqlite/1"
    rank = 12
    suffixes = (".sqlite", ".sqlite3", ".gpkg")
    magic = (_MAGIC,)
    kinds = ("sqlite",)

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(reader("sqlite", (_MAGIC,)), old, new)
        findings = self._findings(task)
        tables = [place for place in left if place.startswith("table ") and place in right]
        for place in tables:
            _table(place, left[place], right[place], findings)
        compare_contents(_without(left, tables), _without(right, tables), findings)
        if any(data[18:19] == b"\2" for data in (old, new)):
            findings.note(
                "what may lie in a write-ahead log (-wal) beside the database is not seen"
            )
        findings.otherwise("counters, free pages and where rows lie in the file")
        return findings.result(f"{len(tables)} table{'s' if len(tables) != 1 else ''}")


def _without(content: Content, places: list[str]) -> Content:
    return {place: leaf for place, leaf in content.items() if place not in places}


def _table(place: str, old: Leaf, new: Leaf, findings: Findings) -> None:
    one, two = _rows(old), _rows(new)
    if one["columns"] != two["columns"]:
        findings.differ(place, "other columns", str(one["columns"]), str(two["columns"]))
        return
    date = _DATES.get(place)
    if date in one["columns"]:
        column = one["columns"].index(date)
        if [row[column] for row in one["rows"]] != [row[column] for row in two["rows"]]:
            findings.drop(f"{place}, column {date}: the time of saving")
        for row in [*one["rows"], *two["rows"]]:
            row[column] = None
    compare_rows(one["rows"], two["rows"], one["columns"], findings, place)


def _rows(leaf: Leaf) -> dict[str, Any]:
    value = leaf.value if isinstance(leaf, Tree) else None
    if not isinstance(value, dict) or not isinstance(value.get("rows"), list):
        raise Beyond("the answer of its reader is not understood")
    return value
