"""Which lines of R or shell text may flow into a result that they name: guessed from the words."""

from __future__ import annotations

import re
from collections.abc import Callable

R_ASSIGNS = re.compile(
    r"([A-Za-z.][\w.]*)[\w.$\[\]()\"', ]*?\s*(?:<<?-|=(?!=))|->>?\s*([A-Za-z.][\w.]*)"
)
SHELL_ASSIGNS = re.compile(r"(?:^|[;&|\s])([A-Za-z_]\w*)=")
_WORD = re.compile(r"[A-Za-z_.][\w.]*")
_TEXT = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'")
_ROUNDS = 50
_LONGEST = 4_000  # characters of a statement; what is longer is data
_MOST_JOINED = 200  # lines: a bracket that is never closed ends there

Flows = Callable[[str], "frozenset[tuple[int | None, int]] | None"]


def by_words(text: str, assigns: re.Pattern[str]) -> Flows:
    """For a result's file name: the lines that name it, and those that assign what they use.

    None when no line names it. ``assigns`` finds the names that a line gives a value.
    """
    statements = _statements(text)

    def flows(result: str) -> frozenset[tuple[int | None, int]] | None:
        named = re.compile(rf"(?<![\w.-]){re.escape(result)}(?![\w-])")
        found = {at for at, (_, code) in enumerate(statements) if named.search(code)}
        if not found:
            return None
        for _ in range(_ROUNDS):
            used = {word for at in found for word in _words(statements[at][1])}
            more = {
                at
                for at, (_, code) in enumerate(statements)
                if at not in found and used & _assigned(code, assigns)
            }
            if not more:
                break
            found |= more
        return frozenset((None, line) for at in found for line in statements[at][0])

    return flows


def _statements(text: str) -> list[tuple[range, str]]:
    """Lines that belong together: joined while a bracket is open or the line goes on."""
    found: list[tuple[range, str]] = []
    start, held = 1, ""
    lines = text.splitlines()
    for number, raw in enumerate(lines, 1):
        line = re.sub(r"(?:^|(?<=\s))#.*", "", raw)
        held = f"{held}\n{line}" if held else line
        bare = _TEXT.sub('""', held)
        opened = sum(bare.count(c) for c in "([{") - sum(bare.count(c) for c in ")]}")
        going_on = opened > 0 or held.endswith("\\")
        if going_on and number < len(lines) and number - start < _MOST_JOINED:
            continue
        found.append((range(start, number + 1), held))
        start, held = number + 1, ""
    return found


def _words(code: str) -> set[str]:
    return set(_WORD.findall(code))


def _assigned(code: str, assigns: re.Pattern[str]) -> set[str]:
    found = assigns.findall(code[:_LONGEST])
    return {name for match in found for name in _all(match) if name}


def _all(match: str | tuple[str, ...]) -> tuple[str, ...]:
    return (match,) if isinstance(match, str) else match
