"""Parquet, Feather and Arrow through the optional pyarrow in a sealed child."""

from __future__ import annotations

from repro.compare.base import MAX_BYTES, UNBOUNDED, Comparator, Task, parse_both
from repro.compare.child import reader
from repro.compare.contents import Content, compare_contents, summary
from repro.compare.findings import Findings
from repro.compare.parts import compare_parts
from repro.model.ports import OutputFile
from repro.model.verdict import Comparison

_WRITER = "written by"
_PACKING = "row groups, compression, encoding and the version that wrote it"


class ColumnarComparator(Comparator):
    """Schema, columns and rows in their order; integers, texts and dates are exact.

    Row groups, compression and encoding carry no result, nor the versions that wrote it.
    """

    name = "columns/1"
    rank = 18
    suffixes = (".parquet", ".feather", ".arrow", ".arrows")
    magic = (b"PAR1", b"ARROW1", b"FEA1")
    kinds = ("parquet", "feather", "arrow")
    max_bytes = UNBOUNDED

    def _compare_files(self, old: OutputFile, new: OutputFile, task: Task) -> Comparison:
        if max(old.size, new.size) <= MAX_BYTES:
            return super()._compare_files(old, new, task)
        findings = self._findings(task)
        count = compare_parts("columns", (old, new), findings, _without_writer)
        findings.otherwise(_PACKING)
        return findings.result(f"{count} parts")

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        magic = (*self.magic, b"\xff\xff\xff\xff")
        left, right = parse_both(reader("columns", magic), old, new)
        findings = self._findings(task)
        one, two = _without_writer(left, right, findings)
        compare_contents(one, two, findings)
        findings.otherwise(_PACKING)
        return findings.result(summary({p: v for p, v in one.items() if p.startswith("column ")}))


def _without_writer(old: Content, new: Content, findings: Findings) -> tuple[Content, Content]:
    if old.get(_WRITER) != new.get(_WRITER):
        findings.drop("the versions of pandas and of the library that wrote it")
    one, two = ({p: leaf for p, leaf in side.items() if p != _WRITER} for side in (old, new))
    return one, two
