"""Excel and OpenDocument workbooks: cells by our own readers; styles and times of saving named."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from repro.compare.base import Comparator, Task, parse_both
from repro.compare.choose import compare_part
from repro.compare.findings import Findings
from repro.compare.ods import read_ods
from repro.compare.sheets import Book, compare_books
from repro.compare.unzip import MAGIC
from repro.compare.xlsx import read_xlsx
from repro.model.verdict import Comparison

Parts = dict[str, bytes]


class SpreadsheetComparator(Comparator):
    """Values, texts and formulas of every cell; other parts as files of their own.

    Numbers have the tolerance where one of the two is no integer.
    """

    name = "xlsx/1"
    rank = 42
    suffixes: ClassVar[tuple[str, ...]] = (".xlsx", ".xlsm")
    kinds: ClassVar[tuple[str, ...]] = ("xlsx",)
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

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        (one, left), (two, right) = parse_both(self.reader, old, new)
        findings = self._findings(task)
        compare_books(one, two, findings)
        cells = sum(len(sheet.cells) for sheet in one.sheets)
        used = {**one.parts, **two.parts}
        for name in sorted(left.keys() | right.keys()):
            if left.get(name) != right.get(name):
                self._part(name, left.get(name), right.get(name), used, findings, task)
        findings.otherwise("the order, times and attributes of members, or their compression")
        return findings.result(f"{len(one.sheets)} sheets, {cells} cells")

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
