"""Jupyter notebooks: per cell and per MIME type; counts, timings and metadata removed."""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from collections.abc import Mapping
from typing import Any

from repro.compare.base import Beyond, Comparator, Malformed, Task, parse_both
from repro.compare.choose import compare_part
from repro.compare.findings import Findings
from repro.compare.lines import compare_lines
from repro.compare.strictjson import parse_json
from repro.compare.tables_in_html import compare_html
from repro.compare.tree import compare_trees
from repro.model.outcome import Outcome
from repro.model.verdict import Comparison

Cell = Mapping[str, Any]
_RASTER = {"image/png": "figure.png", "image/jpeg": "figure.jpg", "image/gif": "figure.gif"}
_NOISE = re.compile(r"^Matplotlib is building the font cache.*\n?", re.M)


class NotebookComparator(Comparator):
    """nbformat 4. Sources must be equal, outputs are compared by their kind."""

    name = "notebook/1"
    rank = 10
    suffixes = (".ipynb",)
    kinds = ("notebook",)

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(_cells, old, new)
        findings = self._findings(task)
        changed = 0
        if len(left) != len(right):
            findings.differ(
                "the notebook", "another number of cells", str(len(left)), str(len(right))
            )
        _order(left, findings)
        for number, (one, two) in enumerate(zip(left, right, strict=False), 1):
            if one != two:
                changed += 1
                _Cell(f"cell {number}", task, findings).compare(one, two)
        _rest(old, new, findings)
        return findings.result(f"{len(left)} cells, {changed} differ")


def _cells(data: bytes) -> list[Cell]:
    document = parse_json(data)
    if not isinstance(document, dict) or not isinstance(document.get("cells"), list):
        raise Malformed("it is no notebook of format 4")
    if document.get("nbformat") != 4:
        raise Beyond("only notebooks of format 4 are compared")
    for cell in document["cells"]:
        _check(cell)
    cells: list[Cell] = document["cells"]
    return cells


def _check(cell: object) -> None:
    outputs = cell.get("outputs", []) if isinstance(cell, dict) else None
    if not isinstance(outputs, list) or not all(isinstance(o, dict) for o in outputs):
        raise Malformed("a cell is not built as the format says")


def _order(cells: list[Cell], findings: Findings) -> None:
    counts = [cell.get("execution_count") for cell in cells if cell.get("cell_type") == "code"]
    ran = [count for count in counts if isinstance(count, int)]
    if ran != list(range(1, len(ran) + 1)):
        findings.note("the recorded notebook was not run once from top to bottom")


def _rest(old: bytes, new: bytes, findings: Findings) -> None:
    """What is beside the cells: metadata, which is named and not judged."""
    left, right = parse_json(old), parse_json(new)
    for key in sorted(left.keys() | right.keys()):
        if key != "cells" and left.get(key) != right.get(key):
            findings.drop(f"notebook {key}")
            findings.note(f"notebook {key} differs and is not judged")
    findings.otherwise("white space or the order of keys")


class _Cell:
    """The comparison of one pair of cells."""

    def __init__(self, where: str, task: Task, findings: Findings) -> None:
        self._where = where
        self._task = task
        self._findings = findings

    def compare(self, one: Cell, two: Cell) -> None:
        findings = self._findings
        if one.get("cell_type") != two.get("cell_type"):
            findings.differ(self._where, "another kind of cell")
            return
        if _joined(one.get("source")) != _joined(two.get("source")):
            findings.differ(f"{self._where} source", "the source differs",
                            _joined(one.get("source")), _joined(two.get("source")))  # fmt: skip
        if one.get("attachments") != two.get("attachments"):
            findings.differ(f"{self._where} attachments", "attachments differ")
        for key, name in (("execution_count", "execution counts"), ("metadata", "cell metadata"),
                          ("id", "cell ids")):  # fmt: skip
            if one.get(key) != two.get(key):
                findings.drop(name)
        self._outputs(one.get("outputs", []), two.get("outputs", []))

    def _outputs(self, old: list[Cell], new: list[Cell]) -> None:
        findings = self._findings
        for name in ("stdout", "stderr"):
            left, right = _stream(old, name), _stream(new, name)
            if left == right:
                continue
            if name == "stderr" and (_NOISE.search(left) or _NOISE.search(right)):
                findings.drop(f"{self._where}: the notice that fonts are cached")
                left, right = _NOISE.sub("", left), _NOISE.sub("", right)
            where = f"{self._where} {name} "
            compare_lines(left, right, findings, where=where, log=name == "stderr")
        first = [output for output in old if output.get("output_type") != "stream"]
        second = [output for output in new if output.get("output_type") != "stream"]
        if len(first) != len(second):
            findings.differ(f"{self._where} outputs", "another number of outputs",
                            str(len(first)), str(len(second)))  # fmt: skip
        for number, (one, two) in enumerate(zip(first, second, strict=False), 1):
            if one != two:
                self._output(f"{self._where} output {number}", one, two)

    def _output(self, where: str, one: Cell, two: Cell) -> None:
        kinds = one.get("output_type"), two.get("output_type")
        if kinds[0] != kinds[1]:
            self._findings.differ(where, "another kind of output", str(kinds[0]), str(kinds[1]))
        elif kinds[0] == "error":
            self._error(where, one, two)
        elif kinds[0] in ("display_data", "execute_result", "update_display_data"):
            if one.get("execution_count") != two.get("execution_count"):
                self._findings.drop("execution counts")
            self._bundle(where, _data(one), _data(two))
        else:
            compare_trees(one, two, self._findings, where)

    def _error(self, where: str, one: Cell, two: Cell) -> None:
        for key in ("ename", "evalue"):
            old, new = _joined(one.get(key)), _joined(two.get(key))
            compare_lines(old, new, self._findings, where=f"{where} {key} ")
        if one.get("traceback") != two.get("traceback"):
            self._findings.drop(f"{where}: the traceback (name and message are compared)")

    def _bundle(self, where: str, old: Cell, new: Cell) -> None:
        for mime in sorted(old.keys() | new.keys()):
            if mime not in old or mime not in new:
                self._findings.differ(where, f"{mime} on one side only")
            elif old[mime] != new[mime]:
                self._mime(f"{where} {mime}", mime, old[mime], new[mime])

    def _mime(self, where: str, mime: str, old: object, new: object) -> None:
        findings = self._findings
        if mime in _RASTER:
            part = compare_part(_RASTER[mime], *parse_both(_base64, *_raw(old, new)), self._task)
            self._merge(where, part)
        elif mime == "image/svg+xml":
            self._merge(where, compare_part("figure.svg", *_raw(old, new), self._task))
        elif mime == "application/vnd.jupyter.widget-view+json":
            findings.drop(f"{where}: the widget's id")
            findings.note(f"{where}: the state of a widget is not judged")
        elif mime == "text/html":
            compare_html(_joined(old), _joined(new), findings, where=f"{where} ")
        elif isinstance(old, (str, list)) and isinstance(new, (str, list)) and "json" not in mime:
            compare_lines(_joined(old), _joined(new), findings, where=f"{where} ")
        else:
            compare_trees(old, new, findings, where)

    def _merge(self, where: str, part: Comparison) -> None:
        if part.outcome is Outcome.IDENTICAL:
            self._findings.drop(f"{where}: how the figure is written")
        else:
            self._findings.merge(where, part)


def _data(output: Cell) -> Cell:
    data = output.get("data")
    return data if isinstance(data, dict) else {}


def _stream(outputs: list[Cell], name: str) -> str:
    return "".join(
        _joined(output.get("text"))
        for output in outputs
        if output.get("output_type") == "stream" and output.get("name") == name
    )


def _joined(value: object) -> str:
    if isinstance(value, list):
        return "".join(itertools.chain.from_iterable(map(str, value)))
    return value if isinstance(value, str) else "" if value is None else repr(value)


def _raw(old: object, new: object) -> tuple[bytes, bytes]:
    left, right = (_joined(side).encode("utf-8", "surrogatepass") for side in (old, new))
    return left, right


def _base64(data: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(data.split()), validate=True)
    except binascii.Error as error:
        raise Malformed(f"a figure is no base64: {error}") from None
