"""Parquet, Feather and Arrow through the optional pyarrow in a sealed child."""

from __future__ import annotations

from repro.compare.base import Comparator, Task, parse_both
from repro.compare.child import reader
from repro.compare.contents import compare_contents, summary
from repro.model.verdict import Comparison

_WRITER = "written by"


class ColumnarComparator(Comparator):
    """Schema, columns and rows in their order; integers, texts and dates are exact.

    Row groups, compression and encoding carry no result, nor the versions that wrote it.
    """

    name = "columns/1"
    rank = 18
    suffixes = (".parquet", ".feather", ".arrow", ".arrows")
    magic = (b"PAR1", b"ARROW1", b"FEA1")
    kinds = ("parquet", "feather", "arrow")
    max_bytes = 256 << 20

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        magic = (*self.magic, b"\xff\xff\xff\xff")
        left, right = parse_both(reader("columns", magic), old, new)
        findings = self._findings(task)
        if left.get(_WRITER) != right.get(_WRITER):
            findings.drop("the versions of pandas and of the library that wrote it")
        one, two = ({p: leaf for p, leaf in side.items() if p != _WRITER} for side in (left, right))
        compare_contents(one, two, findings)
        findings.otherwise("row groups, compression, encoding and the version that wrote it")
        return findings.result(summary({p: v for p, v in one.items() if p.startswith("column ")}))
