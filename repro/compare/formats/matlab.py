"""MATLAB's .mat of levels 4 and 5 by our own readers; the header's text (program, date) is removed."""

from __future__ import annotations

from repro.compare.base import Comparator, Task, parse_both
from repro.compare.contents import Content, compare_contents, summary
from repro.compare.mat4 import read_mat4
from repro.compare.mat5 import MAGIC, read_mat5
from repro.model.verdict import Comparison


class MatlabComparator(Comparator):
    """Versions 4 to 7, as scipy and Octave write them too; version 7.3 is HDF5."""

    name = "mat5/1"
    rank = 14
    suffixes = (".mat",)
    magic = (MAGIC,)
    kinds = ("mat",)

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(_content, old, new)
        findings = self._findings(task)
        compare_contents(left, right, findings)
        if old.startswith(MAGIC) and old[:116] != new[:116]:
            findings.drop("the header's text: which program wrote it, and when")
        findings.otherwise("compression, or how numbers and texts are stored")
        return findings.result(summary(left))


def _content(data: bytes) -> Content:
    return read_mat5(data) if data.startswith(MAGIC) else read_mat4(data)
