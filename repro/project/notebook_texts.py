"""The texts of a notebook: sources, outputs, metadata, without its pictures (nbformat 4)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from repro.primitives.frozen import frozen

_PICTURES = (
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "application/pdf",
    "video/",
    "audio/",
)


@frozen
class Passage:
    """One text of a notebook. ``code`` tells a source from what was written or printed."""

    text: bytes
    code: bool

    def line_in_file(self, line: int, data: bytes) -> int:
        """The line of the notebook's bytes that holds this text's ``line`` (both from 1).

        Searched by the line's JSON form; 1 when that is written in another way.
        """
        wanted = self.text.split(b"\n")[line - 1].decode("utf-8", "replace")
        for ascii_only in (False, True):
            form = json.dumps(wanted, ensure_ascii=ascii_only)[1:-1]
            position = data.find(form.encode("utf-8", "replace"))
            if position >= 0:
                return data.count(b"\n", 0, position) + 1
        return 1


def passages(data: bytes) -> list[Passage] | None:
    """Every text of a notebook in order, or None when the bytes are no notebook."""
    try:
        document = json.loads(data)
        return list(_notebook(document))
    except (ValueError, LookupError, RecursionError, AttributeError, TypeError):
        return None


def _notebook(document: dict[str, Any]) -> Iterator[Passage]:
    cells = document["cells"] if "cells" in document else _old_cells(document)
    for cell in cells:
        source = _joined(cell.get("source", cell.get("input", "")))
        yield _passage(source, code=cell.get("cell_type") == "code")
        for output in cell.get("outputs") or ():
            yield from _output(output)
        yield _passage(_shown(cell.get("metadata")), code=True)
    yield _passage(_shown(document.get("metadata")), code=True)


def _old_cells(document: dict[str, Any]) -> list[dict[str, Any]]:
    """nbformat 3 has worksheets around the cells. Raises ValueError when there are none."""
    if "worksheets" not in document:
        raise ValueError("no notebook")
    return [cell for sheet in document["worksheets"] for cell in sheet["cells"]]


def _output(output: dict[str, Any]) -> Iterator[Passage]:
    for key, value in output.items():
        if key == "data":
            for kind, shown in value.items():
                if not kind.startswith(_PICTURES):
                    yield _passage(_joined(shown), code=False)
        elif key == "traceback":
            yield _passage("\n".join(str(line) for line in value), code=False)
        elif key not in ("png", "jpeg", "pdf", "output_type", "execution_count"):
            yield _passage(_joined(value), code=False)


def _joined(value: object) -> str:
    """Text is text or a list of lines; anything else is shown as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return _shown(value)


def _shown(value: object) -> str:
    return json.dumps(value, indent=1) if value else ""


def _passage(text: str, *, code: bool) -> Passage:
    return Passage(text=text.encode("utf-8", "surrogatepass"), code=code)
