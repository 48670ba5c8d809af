"""Everything else: bytes, with the first place where they part."""

from __future__ import annotations

from repro.compare.base import UNBOUNDED, Comparator, Task
from repro.compare.memory import MemoryOutput
from repro.compare.parting import parting
from repro.model.ports import OutputFile
from repro.model.verdict import Comparison


class RawComparator(Comparator):
    """The last one asked: takes any file and never says more than the bytes do."""

    name = "bytes/1"
    rank = 99
    kinds = ("bytes", "raw", "binary")
    max_bytes = UNBOUNDED

    def accepts(self, path: str, head: bytes) -> bool:
        """Any file."""
        return True

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        return self._compare_files(MemoryOutput(old), MemoryOutput(new), task)

    def _compare_files(self, old: OutputFile, new: OutputFile, task: Task) -> Comparison:
        findings = self._findings(task)
        first = parting(old, new)
        findings.differ(f"byte {first}", "bytes differ")
        findings.note("compared as bytes: no comparator knows this format")
        return findings.result(f"{old.size} and {new.size} bytes, differ at {first}")
