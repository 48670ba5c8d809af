"""The one meaning of a pattern in repro.yml: ``*`` stays in a folder, ``**`` crosses them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache


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
    """Whether a path relative to the project matches; a folder's name matches what is in it."""
    return _compiled(pattern).fullmatch(path) is not None


def matches_any(path: str, patterns: Iterable[str]) -> bool:
    """Whether any of the patterns matches."""
    return any(matches(path, pattern) for pattern in patterns)
