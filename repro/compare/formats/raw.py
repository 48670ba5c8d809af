"""Everything else: bytes, with the first place where they part."""

from __future__ import annotations

from repro.compare.base import Comparator, Task
from repro.model.verdict import Comparison


class RawComparator(Comparator):
    """The last one asked: takes any file and never says more than the bytes do."""

    name = "bytes/1"
    rank = 99
    kinds = ("bytes", "raw", "binary")

    def accepts(self, path: str, head: bytes) -> bool:
        """Any file."""
        return True

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        findings = self._findings(task)
        findings.differ(f"byte {_first(old, new)}", "bytes differ")
        findings.note("compared as bytes: no comparator knows this format")
        return findings.result(f"{len(old)} and {len(new)} bytes, differ at {_first(old, new)}")


def _first(old: bytes, new: bytes) -> int:
    low, high = 0, min(len(old), len(new))
    if old[:high] == new[:high]:
        return high
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if old[:middle] == new[:middle] else (low, middle - 1)
    return low
