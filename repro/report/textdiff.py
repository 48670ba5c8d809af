"""Two texts as a diff of lines with a little context, bounded."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Sequence

from repro.report.escape import esc_block

_CONTEXT = 3
_MAX_ROWS = 400
_MAX_COMPARED = 2000
_MAX_BYTES = 4 << 20
_MAX_LINE = 500
Row = tuple[str, int | None, int | None, str]


def text_of(data: bytes | None) -> str | None:
    """The text of a file when it is one of a size worth showing."""
    if data is None or len(data) > _MAX_BYTES or b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def diff_table(old: str, new: str) -> str:
    """The differing lines as a table; empty when there is none to show."""
    rows = list(_rows(old.split("\n"), new.split("\n")))
    if not rows:
        return ""
    shown = [_row(*row) for row in rows[:_MAX_ROWS]]
    if len(rows) > _MAX_ROWS:
        shown.append(_row("gap", None, None, f"{len(rows) - _MAX_ROWS} further rows"))
    columns = '<colgroup><col class="at"><col class="at"><col class="sign"><col></colgroup>'
    body = f"{columns}<tbody>{''.join(shown)}</tbody>"
    return f'<div class="diffs"><table class="diff">{body}</table></div>'


def _rows(old: list[str], new: list[str]) -> Iterator[Row]:
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    one, two = old[start : len(old) - end], new[start : len(new) - end]
    if not one and not two:
        return
    if start > _CONTEXT:
        yield ("gap", None, None, f"{start - _CONTEXT} equal lines")
    for index in range(max(0, start - _CONTEXT), start):
        yield ("same", index, index, old[index])
    yield from _middle(one, two, start)
    for index in range(len(old) - end, min(len(old), len(old) - end + _CONTEXT)):
        yield ("same", index, index + len(new) - len(old), old[index])
    if end > _CONTEXT:
        yield ("gap", None, None, f"{end - _CONTEXT} equal lines")


def _middle(one: list[str], two: list[str], start: int) -> Iterator[Row]:
    # Aligning is quadratic, so long stretches are shown in their order only.
    blocks: Sequence[tuple[str, int, int, int, int]]
    if max(len(one), len(two)) <= _MAX_COMPARED:
        blocks = difflib.SequenceMatcher(None, one, two).get_opcodes()
    elif len(one) == len(two):
        blocks = _line_by_line(one, two)
    else:
        blocks = [("replace", 0, len(one), 0, len(two))]
    for tag, i1, i2, j1, j2 in blocks:
        if tag == "equal":
            yield from _equal(one, i1, i2, start, start + j1 - i1)
            continue
        for i in range(i1, min(i2, i1 + _MAX_ROWS)):
            yield ("del", start + i, None, one[i])
        for j in range(j1, min(j2, j1 + _MAX_ROWS)):
            yield ("add", None, start + j, two[j])


def _line_by_line(one: list[str], two: list[str]) -> list[tuple[str, int, int, int, int]]:
    blocks = []
    start = 0
    pairs = (old == new for old, new in zip(one, two, strict=True))
    for same, run in itertools.groupby(pairs):
        end = start + sum(1 for _ in run)
        blocks.append(("equal" if same else "replace", start, end, start, end))
        start = end
    return blocks


def _equal(one: list[str], i1: int, i2: int, start: int, other: int) -> Iterator[Row]:
    if i2 - i1 <= 2 * _CONTEXT + 1:
        for i in range(i1, i2):
            yield ("same", start + i, other + i, one[i])
        return
    for i in range(i1, i1 + _CONTEXT):
        yield ("same", start + i, other + i, one[i])
    yield ("gap", None, None, f"{i2 - i1 - 2 * _CONTEXT} equal lines")
    for i in range(i2 - _CONTEXT, i2):
        yield ("same", start + i, other + i, one[i])


def _row(kind: str, old: int | None, new: int | None, text: str) -> str:
    if kind == "gap":
        return f'<tr class="gap"><td colspan="4">{text}</td></tr>'
    numbers = "".join(
        f'<td class="at">{"" if number is None else number + 1}</td>' for number in (old, new)
    )
    sign = {"add": "+", "del": "−"}.get(kind, "")
    shown = esc_block(text, _MAX_LINE)
    return f'<tr class="{kind}">{numbers}<td class="sign">{sign}</td><td class="mono">{shown}</td></tr>'
