"""Cells of an Excel workbook, read from its XML parts (ECMA-376 part 1, SpreadsheetML)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from repro.compare.base import Beyond, Malformed
from repro.compare.markup import walk_xml
from repro.compare.sheets import MAX_CELLS, Book, Cell, Sheet, address
from repro.compare.unzip import unzip

_WORKBOOK = "xl/workbook.xml"
_KINDS = {
    "n": "number", "s": "text", "str": "text", "inlineStr": "text", "b": "boolean", "e": "error",
    "d": "date",
}  # fmt: skip
_ADDRESS = re.compile(r"([A-Z]{1,3})(\d{1,7})")


def read_xlsx(data: bytes) -> tuple[Book, dict[str, bytes]]:
    """The workbook and all parts. Raises Malformed and Beyond."""
    parts = unzip(data)
    if _WORKBOOK not in parts:
        raise Malformed("it has no xl/workbook.xml")
    links = _links(parts.get("xl/_rels/workbook.xml.rels", b""))
    workbook = _Workbook()
    walk_xml(parts[_WORKBOOK], workbook.start, workbook.end, workbook.text)
    used = {_WORKBOOK: "the workbook's view, its file version and settings of calculation"}
    shared = next((target for kind, target in links.values() if kind == "sharedStrings"), "")
    if shared in parts:
        used[shared] = "how texts are shared between cells"
    strings = _strings(parts[shared]) if shared in parts else []
    sheets = []
    left = MAX_CELLS
    for name, hidden, link in workbook.sheets:
        kind, target = links.get(link, ("", ""))
        if target not in parts:
            raise Malformed(f"sheet {name} has no part")
        if kind != "worksheet":
            continue
        used[target] = f"sheet {name}: styles, widths and other layout"
        reader = _Sheet(strings, left)
        walk_xml(parts[target], reader.start, reader.end, reader.text)
        left -= len(reader.cells)
        sheets.append(Sheet(name=name, hidden=hidden, cells=reader.cells))
    return Book(sheets=tuple(sheets), names=workbook.names, parts=used), parts


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


def _strings(data: bytes) -> list[str]:
    """Shared strings: runs joined, their fonts and phonetic hints left out (18.4)."""
    found: list[str] = []
    inside: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        inside.append(_leaf(name))
        if inside[-1] == "si":
            if len(found) >= MAX_CELLS:
                raise Beyond(f"more than {MAX_CELLS} texts")
            found.append("")

    def text(text: str) -> None:
        if found and inside[-1] == "t" and "rPh" not in inside:
            found[-1] += text

    def end(name: str) -> None:
        inside.pop()

    walk_xml(data, start, end, text)
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

    def _text(self) -> str:
        if self._kind != "s" or not self._value:
            return self._value
        number = int(self._value) if self._value.isdecimal() else -1
        if not 0 <= number < len(self._strings):
            raise Malformed(f"cell {address(self._row, self._column)} has a text that is not there")
        return self._strings[number]
