"""Text and logs: line by line after scrubbing; numbers are exact unless declared."""

from __future__ import annotations

import contextlib
from typing import ClassVar

from repro.compare.base import MAX_BYTES, UNBOUNDED, Beyond, Comparator, Task, parse_both
from repro.compare.lines import compare_lines
from repro.compare.linestream import Lines
from repro.compare.longtext import compare_long
from repro.compare.plain import decode, looks_like_text
from repro.model.ports import OutputFile
from repro.model.verdict import Comparison

_MAX_LINES = 2_000_000


class TextComparator(Comparator):
    """UTF-8 text (or UTF-16 with a mark) that no other comparator takes."""

    name = "text/1"
    rank = 80
    suffixes: ClassVar[tuple[str, ...]] = (
        ".txt",
        ".md",
        ".rst",
        ".tex",
        ".html",
        ".htm",
        ".rmd",
        ".qmd",
        ".bib",
    )
    kinds = ("text",)
    is_log: ClassVar[bool] = False

    def accepts(self, path: str, head: bytes) -> bool:
        """Known suffixes, and whatever begins like text."""
        return super().accepts(path, head) or looks_like_text(head)

    max_bytes = UNBOUNDED

    def _compare_files(self, old: OutputFile, new: OutputFile, task: Task) -> Comparison:
        if max(old.size, new.size) <= MAX_BYTES:
            return super()._compare_files(old, new, task)
        findings = self._findings(task)
        with contextlib.closing(old.open()) as left, contextlib.closing(new.open()) as right:
            sides = Lines(left, "recorded"), Lines(right, "rerun's")
            compare_long(*sides, findings, log=self.is_log)
        return findings.result(f"{sides[0].number} lines")

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(decode, old, new)
        if max(left.count("\n"), right.count("\n")) > _MAX_LINES:
            raise Beyond(f"more than {_MAX_LINES} lines")
        findings = self._findings(task)
        compare_lines(left, right, findings, log=self.is_log)
        lines = left.count("\n") + (not left.endswith("\n"))
        return findings.result("1 line" if lines == 1 else f"{lines} lines")


class LogComparator(TextComparator):
    """A log, where a time at the start of a line is never a result."""

    name = "log/1"
    rank = 79
    suffixes = (".log", ".err", ".stderr")
    kinds = ("log",)
    is_log = True

    def accepts(self, path: str, head: bytes) -> bool:
        """Known suffixes only."""
        return path.lower().endswith(self.suffixes)
