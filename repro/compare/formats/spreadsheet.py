"""Excel and OpenDocument workbooks: cells by our own readers; styles and times of saving named."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import ClassVar

from repro.compare.base import MAX_BYTES, UNBOUNDED, Beyond, Comparator, Task, parse_both
from repro.compare.bigbooks import LargeBook, blamed, compare_large
from repro.compare.choose import compare_part
from repro.compare.findings import Findings
from repro.compare.ods import large_ods, read_ods
from repro.compare.sheets import Book, compare_books
from repro.compare.unzip import MAGIC, Members
from repro.compare.xlsx import large_xlsx, read_xlsx
from repro.model.ports import OutputFile
from repro.model.verdict import Comparison

Parts = dict[str, bytes]
_SECONDS, _BYTES_A_SECOND = 300.0, 1 << 16
"""So long, and a second more for so many packed bytes, a large workbook may take."""


class SpreadsheetComparator(Comparator):
    """Values, texts and formulas of every cell; other parts as files of their own.

    Numbers have the tolerance where one of the two is no integer.
    """

    name = "xlsx/1"
    rank = 42
    suffixes: ClassVar[tuple[str, ...]] = (".xlsx", ".xlsm")
    kinds: ClassVar[tuple[str, ...]] = ("xlsx",)
    max_bytes = UNBOUNDED
    # Parts that say how a workbook looks, how it was printed and by which program.
    looks: ClassVar[tuple[str, ...]] = (
        "xl/styles.xml", "xl/theme/", "xl/calcChain.xml", "xl/printerSettings/",
        "docProps/app.xml", "[Content_Types].xml", "xl/_rels/workbook.xml.rels", "_rels/.rels",
    )  # fmt: skip

    def accepts(self, path: str, head: bytes) -> bool:
        """By name; every ZIP begins alike."""
        return super().accepts(path, head) and (not head or head.startswith(MAGIC))

    @property
    def reader(self) -> Callable[[bytes], tuple[Book, Parts]]:
        """What reads one side."""
        return read_xlsx

    @property
    def large_reader(self) -> Callable[[Members], LargeBook]:
        """What reads one side row by row."""
        return large_xlsx

    def _compare_files(self, old: OutputFile, new: OutputFile, task: Task) -> Comparison:
        if max(old.size, new.size) <= MAX_BYTES:
            try:
                return super()._compare_files(old, new, task)
            except Beyond:  # many cells: row by row instead
                pass
        findings = self._findings(task)
        with contextlib.ExitStack() as stack:
            books = []
            for side, name in ((old, "recorded"), (new, "rerun's")):
                stream = stack.enter_context(contextlib.closing(side.open()))
                seconds = _SECONDS + side.size / _BYTES_A_SECOND
                with blamed(name):
                    members = stack.enter_context(Members(stream, seconds))
                    books.append(self.large_reader(members))
            # Past a bound nothing of what was found counts: rows may only come in another order.
            rows = compare_large(books[0], books[1], findings)
            self._parts(
                books[0].book, books[1].book, (books[0].parts, books[1].parts), findings, task
            )
        return findings.result(f"{len(books[0].book.sheets)} sheets, {rows} rows")

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        (one, left), (two, right) = parse_both(self.reader, old, new)
        findings = self._findings(task)
        compare_books(one, two, findings)
        cells = sum(len(sheet.cells) for sheet in one.sheets)
        self._parts(one, two, (left, right), findings, task)
        return findings.result(f"{len(one.sheets)} sheets, {cells} cells")

    def _parts(
        self,
        one: Book,
        two: Book,
        parts: tuple[Mapping[str, bytes], Mapping[str, bytes]],
        findings: Findings,
        task: Task,
    ) -> None:
        used = {**one.parts, **two.parts}
        for name in sorted(parts[0].keys() | parts[1].keys()):
            sides = parts[0].get(name), parts[1].get(name)
            if sides[0] != sides[1]:
                self._part(name, sides[0], sides[1], used, findings, task)
        findings.otherwise("the order, times and attributes of members, or their compression")

    def _part(
        self,
        name: str,
        old: bytes | None,
        new: bytes | None,
        used: dict[str, str],
        findings: Findings,
        task: Task,
    ) -> None:
        if name in used:
            if not findings.count:
                findings.drop(f"{name}: {used[name]}")
        elif name.startswith(self.looks):
            findings.drop(f"{name}: how it looks, is linked or was written")
        elif old is None or new is None:
            findings.differ(name, "only in one of the two")
        else:
            findings.merge(name, compare_part(name, old, new, task))


class OpenDocumentComparator(SpreadsheetComparator):
    """An OpenDocument spreadsheet, in the same way."""

    name = "ods/1"
    rank = 43
    suffixes = (".ods",)
    kinds = ("ods",)
    looks = (
        "styles.xml",
        "settings.xml",
        "Thumbnails/",
        "META-INF/manifest.xml",
        "Configurations2/",
    )

    @property
    def reader(self) -> Callable[[bytes], tuple[Book, Parts]]:
        """What reads one side."""
        return read_ods

    @property
    def large_reader(self) -> Callable[[Members], LargeBook]:
        """What reads one side row by row."""
        return large_ods
