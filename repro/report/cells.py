"""A notebook cell by cell: the source, and recorded and rerun outputs where they differ."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from repro.errors import ArchiveError
from repro.primitives import canonical
from repro.report.budget import Budget
from repro.report.escape import esc, esc_block
from repro.report.pictures import pair_of_pictures

_MAX_BYTES = 16 << 20
_MAX_CELLS = 400
_MAX_TEXT = 6000
_PICTURES = {"image/png": "figure.png", "image/jpeg": "figure.jpg", "image/svg+xml": "figure.svg"}
Cell = Mapping[str, Any]


def notebook_cells(old: bytes | None, new: bytes | None, budget: Budget) -> str:
    """The cells of two notebooks; empty when either cannot be read as one.

    HTML and JavaScript of outputs are shown as source, never run.
    """
    left, right = _cells(old), _cells(new)
    if left is None or right is None:
        return ""
    parts = []
    unchanged = 0
    for number, (one, two) in enumerate(zip(left, right, strict=False), 1):
        if number > _MAX_CELLS:
            parts.append(f"<p>Only the first {_MAX_CELLS} cells are shown.</p>")
            break
        if _essence(one) == _essence(two):
            unchanged += 1
        else:
            parts.append(_changed(number, one, two, budget))
    same = f"<p>{unchanged} of {len(left)} cells are the same but for counts and timings.</p>"
    return f"<h3>Notebook</h3>{same}{''.join(parts)}"


def _cells(data: bytes | None) -> list[Cell] | None:
    if data is None or len(data) > _MAX_BYTES:
        return None
    try:
        document = canonical.load(data, "the notebook", limit=_MAX_BYTES)
    except (ArchiveError, ValueError):
        return None
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        return None
    return cells


def _essence(cell: Cell) -> object:
    outputs = [
        {key: value for key, value in output.items() if key not in ("execution_count", "metadata")}
        for output in _outputs(cell)
    ]
    return (cell.get("cell_type"), _text(cell.get("source")), outputs)


def _outputs(cell: Cell) -> list[Cell]:
    outputs = cell.get("outputs", [])
    return [o for o in outputs if isinstance(o, dict)] if isinstance(outputs, list) else []


def _changed(number: int, one: Cell, two: Cell, budget: Budget) -> str:
    source = esc_block(_text(one.get("source")), _MAX_TEXT)
    parts = [f'<div class="cell changed"><h3>Cell {number}</h3><pre>{source}</pre>']
    old, new = _outputs(one), _outputs(two)
    for index in range(max(len(old), len(new))):
        pair = (old[index] if index < len(old) else None, new[index] if index < len(new) else None)
        if pair[0] != pair[1]:
            parts.append(_pair(f"cell {number}, output {index + 1}", pair, budget))
    return "".join(parts) + "</div>"


def _pair(where: str, pair: tuple[Cell | None, Cell | None], budget: Budget) -> str:
    figures = _figures(where, pair, budget)
    texts = ["" if side is None else _words(side) for side in pair]
    if figures and texts[0] == texts[1]:
        return figures
    shown = [esc_block(text, _MAX_TEXT) for text in texts]
    if not budget.take(sum(map(len, shown)), where):
        return figures
    columns = "".join(
        f'<div><span class="soft">{word}</span><pre>{text}</pre></div>'
        for word, text in zip(("Recorded", "Rerun"), shown, strict=True)
    )
    return f'{figures}<div class="sides">{columns}</div>'


def _figures(where: str, pair: Sequence[Cell | None], budget: Budget) -> str:
    for media, name in _PICTURES.items():
        sides = [_figure(side, media) for side in pair]
        if any(sides):
            return pair_of_pictures(name, sides[0], sides[1], budget, name=where)
    return ""


def _figure(output: Cell | None, media: str) -> bytes | None:
    data = output.get("data") if output is not None else None
    if not isinstance(data, dict) or media not in data:
        return None
    text = _text(data[media])
    if media == "image/svg+xml":
        return text.encode("utf-8", "replace")
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        return None


def _words(output: Cell) -> str:
    """What of an output is text: streams, errors, and every MIME type but pictures."""
    kind = output.get("output_type")
    if kind == "stream":
        return _text(output.get("text"))
    if kind == "error":
        return f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}"
    data = output.get("data")
    if not isinstance(data, dict):
        return ""
    media = sorted(name for name in data if name not in _PICTURES)
    return "\n".join(f"[{esc(name, 80)}]\n{_text(data[name])}" for name in media)


def _text(value: object) -> str:
    if isinstance(value, list):
        return "".join(map(str, value))
    return value if isinstance(value, str) else "" if value is None else repr(value)
