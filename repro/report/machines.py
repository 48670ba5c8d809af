"""The author's machine beside the reviewer's, fact by fact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from repro.primitives.texts import human_size

_MAX_ROWS = 100


def machine_rows(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Each fact by name, as the author's machine and as this one has it."""
    environment = document.get("environment") or {}
    author, reviewer = environment.get("author") or {}, environment.get("reviewer") or {}
    for key in sorted(author.keys() | reviewer.keys(), key=str)[:_MAX_ROWS]:
        show = _bytes if key == "memory" else fact
        yield str(key), show(author.get(key)), show(reviewer.get(key))


def fact(value: object) -> str:
    """A value of a document as text on one line."""
    if value is None:
        return "not recorded"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value in ({}, [], ()):
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {fact(item)}" for key, item in sorted(value.items()))
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    return str(value)


def _bytes(value: object) -> str:
    return human_size(value) if isinstance(value, int) else fact(value)
