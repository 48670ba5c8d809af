"""MATLAB's .mat of level 5 by our own reader; the header's text (program, date) is removed."""

from __future__ import annotations

from repro.compare.base import Comparator, Task, parse_both
from repro.compare.contents import compare_contents, summary
from repro.compare.mat5 import MAGIC, read_mat5
from repro.model.verdict import Comparison


class MatlabComparator(Comparator):
    """Versions 5 to 7, as scipy and Octave write them too; version 7.3 is HDF5."""

    name = "mat5/1"
    rank = 14
    suffixes = (".mat",)
    magic = (MAGIC,)
    kinds = ("mat",)

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(read_mat5, old, new)
        findings = self._findings(task)
        compare_contents(left, right, findings)
        if old[:116] != new[:116]:
            findings.drop("the header's text: which program wrote it, and when")
        findings.otherwise("compression, or how numbers and texts are stored")
        return findings.result(summary(left))
