"""Cells of an Excel workbook, read from its XML parts (ECMA-376 part 1, SpreadsheetML)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping

from repro.compare.base import Beyond, Malformed
from repro.compare.bigbooks import LargeBook, Rows, rows_of
from repro.compare.markup import walk_pieces, walk_xml
from repro.compare.sheets import MAX_CELLS, Book, Cell, Sheet, address
from repro.compare.unzip import Members, unzip
from repro.primitives.frozen import frozen

_WORKBOOK = "xl/workbook.xml"
_LINKS = "xl/_rels/workbook.xml.rels"
_MAX_TEXTS, _MAX_CHARACTERS = 2_000_000, 64 << 20
_KINDS = {
    "n": "number", "s": "text", "str": "text", "inlineStr": "text", "b": "boolean", "e": "error",
    "d": "date",
}  # fmt: skip
_ADDRESS = re.compile(r"([A-Z]{1,3})(\d{1,7})")


def read_xlsx(data: bytes) -> tuple[Book, dict[str, bytes]]:
    """The workbook and all parts. Raises Malformed and Beyond."""
    parts = unzip(data)
    layout = _layout(parts)
    strings = _strings([parts[layout.shared]]) if layout.shared in parts else []
    sheets = []
    left = MAX_CELLS
    for name, hidden, target in layout.sheets:
        reader = _Sheet(strings, left)
        walk_xml(parts[target], reader.start, reader.end, reader.text)
        left -= len(reader.cells)
        sheets.append(Sheet(name=name, hidden=hidden, cells=reader.cells))
    return Book(sheets=tuple(sheets), names=layout.names, parts=layout.used), parts


def large_xlsx(members: Members) -> LargeBook:
    """A workbook whose sheets are read row by row. Raises Malformed and Beyond."""
    known = members.read(n for n in members.names if n in (_WORKBOOK, _LINKS))
    layout = _layout(dict.fromkeys(members.names, b"") | known)
    streamed = {layout.shared, *(target for _, _, target in layout.sheets)}
    parts = members.read(name for name in members.names if name not in streamed)
    sheets = tuple(Sheet(name=n, hidden=hidden, cells={}) for n, hidden, _ in layout.sheets)

    def rows() -> Rows:
        shared = layout.shared in members.names
        strings = _strings(members.pieces(layout.shared)) if shared else []
        for number, (_, _, target) in enumerate(layout.sheets):
            reader = _Sheet(strings, MAX_CELLS)
            walk = walk_pieces(members.pieces(target), reader.start, reader.end, reader.text)
            for _ in walk:
                for row, cells in reader.take():
                    yield number, row, cells
            for row, cells in reader.take(last=True):
                yield number, row, cells

    book = Book(sheets=sheets, names=layout.names, parts=layout.used)
    return LargeBook(book=book, parts=parts, rows=rows)


@frozen
class _Layout:
    """Which parts hold what: sheets (name, hidden, part), shared strings, named ranges."""

    sheets: tuple[tuple[str, bool, str], ...]
    shared: str
    names: Mapping[str, str]
    used: Mapping[str, str]


def _layout(parts: Mapping[str, bytes]) -> _Layout:
    if _WORKBOOK not in parts:
        raise Malformed("it has no xl/workbook.xml")
    links = _links(parts.get(_LINKS, b""))
    workbook = _Workbook()
    walk_xml(parts[_WORKBOOK], workbook.start, workbook.end, workbook.text)
    used = {_WORKBOOK: "the workbook's view, its file version and settings of calculation"}
    shared = next((target for kind, target in links.values() if kind == "sharedStrings"), "")
    if shared in parts:
        used[shared] = "how texts are shared between cells"
    sheets = []
    for name, hidden, link in workbook.sheets:
        kind, target = links.get(link, ("", ""))
        if target not in parts:
            raise Malformed(f"sheet {name} has no part")
        if kind == "worksheet":
            used[target] = f"sheet {name}: styles, widths and other layout"
            sheets.append((name, hidden, target))
    return _Layout(sheets=tuple(sheets), shared=shared, names=workbook.names, used=used)


def _leaf(name: str) -> str:
    return name.rpartition(" ")[2]


def _links(data: bytes) -> Mapping[str, tuple[str, str]]:
    """Relationships by id: the last word of the type, and the part (ECMA-376 part 2, 9)."""
    found: dict[str, tuple[str, str]] = {}

    def start(name: str, attributes: dict[str, str]) -> None:
        if _leaf(name) == "Relationship":
            target = attributes.get("Target", "")
            path = posixpath.normpath(posixpath.join("/xl", target)).lstrip("/")
            found[attributes.get("Id", "")] = (attributes.get("Type", "").split("/")[-1], path)

    if data:
        walk_xml(data, start, lambda name: None, lambda text: None)
    return found


class _Workbook:
    """Sheets (name, hidden, link) and named ranges of ``workbook.xml``."""

    def __init__(self) -> None:
        self.sheets: list[tuple[str, bool, str]] = []
        self.names: dict[str, str] = {}
        self._name = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if _leaf(name) == "sheet":
            link = next((v for key, v in attributes.items() if _leaf(key) == "id"), "")
            hidden = attributes.get("state", "visible") != "visible"
            self.sheets.append((attributes.get("name", ""), hidden, link))
        elif _leaf(name) == "definedName":
            self._name = attributes.get("name", "") + attributes.get("localSheetId", "")
            self.names[self._name] = ""

    def end(self, name: str) -> None:
        self._name = ""

    def text(self, text: str) -> None:
        if self._name:
            self.names[self._name] += text


def _strings(pieces: Iterable[bytes]) -> list[str]:
    """Shared strings: runs joined, their fonts and phonetic hints left out (18.4)."""
    found: list[str] = []
    inside: list[str] = []
    left = _MAX_CHARACTERS

    def start(name: str, attributes: dict[str, str]) -> None:
        inside.append(_leaf(name))
        if inside[-1] == "si":
            if len(found) >= _MAX_TEXTS:
                raise Beyond(f"more than {_MAX_TEXTS} texts")
            found.append("")

    def text(text: str) -> None:
        nonlocal left
        if found and inside[-1] == "t" and "rPh" not in inside:
            left -= len(text)
            if left < 0:
                raise Beyond(f"more than {_MAX_CHARACTERS >> 20} million characters of texts")
            found[-1] += text

    def end(name: str) -> None:
        inside.pop()

    for _ in walk_pieces(pieces, start, end, text):
        pass
    return found


class _Sheet:
    """Cells of one sheet (18.3)."""

    def __init__(self, strings: list[str], left: int) -> None:
        self.cells: dict[str, Cell] = {}
        self._strings = strings
        self._left = left
        self._row = self._column = 0
        self._inside: list[str] = []
        self._kind = self._value = self._formula = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        leaf = _leaf(name)
        self._inside.append(leaf)
        if leaf == "row":
            number = attributes.get("r", "")
            self._row = int(number) if number.isdecimal() else self._row + 1
            self._column = 0
        elif leaf == "c":
            self._place(attributes.get("r", ""))
            self._kind = attributes.get("t", "n")
            self._value = self._formula = ""
        elif leaf == "f":
            # A shared formula (18.3.1.40) has its text at its first cell only.
            kind, group = attributes.get("t", ""), attributes.get("si", "")
            self._formula = f"[{kind} {group} {attributes.get('ref', '')}] " if kind else ""

    def _place(self, text: str) -> None:
        found = _ADDRESS.fullmatch(text)
        if found is None:
            self._column += 1
            return
        self._row = int(found[2])
        self._column = 0
        for letter in found[1]:
            self._column = self._column * 26 + ord(letter) - ord("A") + 1

    def text(self, text: str) -> None:
        inside = self._inside[-1]
        if inside == "f":
            self._formula += text
        elif (inside == "v" and self._kind != "inlineStr") or (
            inside == "t" and "is" in self._inside and "rPh" not in self._inside
        ):
            self._value += text

    def end(self, name: str) -> None:
        if self._inside.pop() != "c" or not (self._value or self._formula):
            return
        if len(self.cells) >= self._left:
            raise Beyond(f"more than {MAX_CELLS} cells")
        place = address(self._row, self._column)
        if place in self.cells:
            raise Malformed(f"cell {place} appears twice")
        kind = _KINDS.get(self._kind, self._kind)
        self.cells[place] = Cell(kind=kind, text=self._text(), formula=self._formula)

    def take(self, *, last: bool = False) -> list[tuple[int, dict[str, Cell]]]:
        """The rows that are complete, with the ``last`` one at the end."""
        found = list(rows_of(self.cells))
        kept = found.pop()[1] if found and not last and found[-1][0] == self._row else {}
        self.cells = kept
        return found

    def _text(self) -> str:
        if self._kind != "s" or not self._value:
            return self._value
        number = int(self._value) if self._value.isdecimal() else -1
        if not 0 <= number < len(self._strings):
            raise Malformed(f"cell {address(self._row, self._column)} has a text that is not there")
        return self._strings[number]
