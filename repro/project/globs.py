"""The one meaning of a pattern in repro.yml: ``*`` stays in a folder, ``**`` crosses them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_FEW = 3
"""Stars in a pattern that a backtracking expression can be trusted with."""


class _Machine:
    """All ways through a pattern at once: bit n says that the first n tokens may be done.

    For ``**/`` a second set holds those that are inside a folder's name.
    """

    def __init__(self, pattern: str) -> None:
        pattern = pattern.removeprefix("./").rstrip("/")
        tokens = re.findall(r"\*\*/|\*\*|\*|\?|.", pattern, re.DOTALL)
        self._end = 1 << len(tokens)
        self._masks: dict[str, int] = {}
        for at, token in enumerate(tokens):
            self._masks[token] = self._masks.get(token, 0) | 1 << at
        self._folders = self._masks.pop("**/", 0)
        self._any = self._masks.pop("**", 0)
        self._star = self._masks.pop("*", 0)
        self._one = self._masks.pop("?", 0)
        self._skips = [1 << at for at, token in enumerate(tokens) if token[0] == "*"]

    def accepts(self, path: str) -> bool:
        state, inside = self._skipped(1), 0
        for char in path:
            if char == "/" and state & self._end:
                return True  # a folder's name means everything in it
            step = (state & self._masks.get(char, 0)) << 1 | state & self._any
            if char == "/":
                step |= inside
                inside = 0
            else:
                step |= (state & self._one) << 1 | state & self._star
                inside |= state & self._folders
            state = self._skipped(step)
        return bool(state & self._end)

    def _skipped(self, state: int) -> int:
        for bit in self._skips:  # in order: one skip leads to the next
            if state & bit:
                state |= bit << 1
        return state


@lru_cache(maxsize=1024)
def _machine(pattern: str) -> _Machine:
    return _Machine(pattern)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    out = []
    index = 0
    pattern = pattern.removeprefix("./").rstrip("/")
    while index < len(pattern):
        if pattern.startswith("**/", index):
            out.append("(?:[^/]+/)*")
            index += 3
        elif pattern.startswith("**", index):
            out.append(".*")
            index += 2
        elif pattern[index] == "*":
            out.append("[^/]*")
            index += 1
        elif pattern[index] == "?":
            out.append("[^/]")
            index += 1
        else:
            out.append(re.escape(pattern[index]))
            index += 1
    # A pattern that names a folder means everything in it.
    return re.compile("".join(out) + "(?:/.*)?", re.DOTALL)


def matches(path: str, pattern: str) -> bool:
    """Whether a path relative to the project matches; a folder's name matches what is in it.

    Patterns come out of archives too: the time is linear in the path for any of them.
    """
    if pattern.count("*") > _FEW:
        return _machine(pattern).accepts(path)
    return _compiled(pattern).fullmatch(path) is not None


def matches_any(path: str, patterns: Iterable[str]) -> bool:
    """Whether any of the patterns matches."""
    return any(matches(path, pattern) for pattern in patterns)
