"""Cells of an OpenDocument spreadsheet (OpenDocument 1.3 part 3, section 9)."""

from __future__ import annotations

from collections.abc import Mapping

from repro.compare.base import Beyond, Malformed
from repro.compare.bigbooks import LargeBook, Rows, rows_of
from repro.compare.markup import walk_pieces, walk_xml
from repro.compare.sheets import MAX_CELLS, Book, Cell, Sheet, address
from repro.compare.unzip import Members, unzip

_CONTENT = "content.xml"
_KINDS = {
    "float": ("number", "value"), "percentage": ("number", "value"), "currency": ("number", "value"),
    "date": ("date", "date-value"), "time": ("time", "time-value"),
    "boolean": ("boolean", "boolean-value"), "string": ("text", "string-value"),
}  # fmt: skip


def read_ods(data: bytes) -> tuple[Book, dict[str, bytes]]:
    """The workbook and all parts. Raises Malformed and Beyond."""
    parts = unzip(data)
    if _CONTENT not in parts:
        raise Malformed("it has no content.xml")
    reader = _Reader()
    walk_xml(parts[_CONTENT], reader.start, reader.end, reader.text)
    used = {_CONTENT: "styles, widths and other layout"}
    return Book(sheets=tuple(reader.sheets), names=reader.names, parts=used), parts


def large_ods(members: Members) -> LargeBook:
    """A workbook whose sheets are read row by row, after a look at their names."""
    if _CONTENT not in members.names:
        raise Malformed("it has no content.xml")
    parts = members.read(name for name in members.names if name != _CONTENT)
    outline = _Reader()
    for _ in walk_pieces(members.pieces(_CONTENT), outline.start, outline.end, outline.text):
        outline.take()

    def rows() -> Rows:
        reader = _Reader()
        walk = walk_pieces(members.pieces(_CONTENT), reader.start, reader.end, reader.text)
        for _ in walk:
            yield from reader.take()
        yield from reader.take()

    outline.take()
    used = {_CONTENT: "styles, widths and other layout"}
    book = Book(sheets=tuple(outline.sheets), names=outline.names, parts=used)
    return LargeBook(book=book, parts=parts, rows=rows)


class _Reader:
    """Sheets of ``content.xml``; repeated empty cells cost nothing, others are counted."""

    def __init__(self) -> None:
        self.sheets: list[Sheet] = []
        self.names: dict[str, str] = {}
        self._left = MAX_CELLS
        self._taken = 0
        self._inside: list[str] = []
        self._cells: dict[str, Cell] = {}
        self._sheet = ""
        self._row = self._column = self._rows = self._repeat = 0
        self._line: list[tuple[int, int, Cell]] = []
        self._cell: dict[str, str] = {}
        self._texts: list[str] = []
        self._note: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        leaf = name.rpartition(" ")[2]
        values = {key.rpartition(" ")[2]: value for key, value in attributes.items()}
        self._inside.append(leaf)
        if leaf == "table":
            self._sheet, self._cells, self._row = values.get("name", ""), {}, 1
        elif leaf == "table-row":
            self._rows, self._column, self._line = _count(values, "number-rows-repeated"), 1, []
        elif leaf in ("table-cell", "covered-table-cell"):
            self._cell, self._texts, self._note = values, [], []
            self._repeat = _count(values, "number-columns-repeated")
        elif leaf == "named-range":
            self.names[values.get("name", "")] = values.get("cell-range-address", "")
        else:
            self._inline(leaf, values)

    def _inline(self, leaf: str, values: dict[str, str]) -> None:
        target = self._note if "annotation" in self._inside else self._texts
        if leaf == "p":
            target.append("")
        elif target and leaf == "s":
            target[-1] += " " * min(_count(values, "c"), 1000)
        elif target and leaf in ("tab", "line-break"):
            target[-1] += "\t" if leaf == "tab" else "\n"

    def text(self, text: str) -> None:
        if "annotation" in self._inside:
            if self._note:
                self._note[-1] += text
        elif self._texts and "p" in self._inside:
            self._texts[-1] += text

    def end(self, name: str) -> None:
        leaf = self._inside.pop()
        if leaf in ("table-cell", "covered-table-cell"):
            self._end_cell()
        elif leaf == "table-row":
            self._end_row()
        elif leaf == "table":
            self.sheets.append(Sheet(name=self._sheet, hidden=False, cells=self._cells))

    def take(self) -> list[tuple[int, int, Mapping[str, Cell]]]:
        """The rows that ended since this was asked last, with the numbers of their sheets."""
        found: list[tuple[int, int, Mapping[str, Cell]]] = []
        for number in range(self._taken, len(self.sheets)):
            sheet = self.sheets[number]
            found += ((number, row, cells) for row, cells in rows_of(sheet.cells))
            self.sheets[number] = Sheet(name=sheet.name, hidden=sheet.hidden, cells={})
        self._taken = len(self.sheets)
        if "table" in self._inside:
            found += ((self._taken, row, cells) for row, cells in rows_of(self._cells))
        self._cells = {}
        self._left = MAX_CELLS
        return found

    def _end_cell(self) -> None:
        kind, where = _KINDS.get(self._cell.get("value-type", ""), ("text", "string-value"))
        cell = Cell(
            kind=kind,
            text=self._cell.get(where, "\n".join(self._texts)),
            formula=self._cell.get("formula", ""),
            note="\n".join(self._note),
        )
        if cell.text or cell.formula or cell.note:
            self._line.append((self._column, self._repeat, cell))
        self._column += self._repeat

    def _end_row(self) -> None:
        self._left -= self._rows * sum(repeat for _, repeat, _ in self._line)
        if self._left < 0:
            raise Beyond(f"more than {MAX_CELLS} cells")
        for row in range(self._row, self._row + self._rows) if self._line else ():
            for column, repeat, cell in self._line:
                for offset in range(repeat):
                    self._cells[address(row, column + offset)] = cell
        self._row += self._rows


def _count(values: dict[str, str], name: str) -> int:
    text = values.get(name, "1")
    if not (text.isdecimal() and len(text) <= 9):
        raise Malformed(f"{name} is no count")
    return int(text)
