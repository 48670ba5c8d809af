"""Which comparator takes a pair, and how a part of a file is compared in turn."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import repro.compare.formats
from repro.compare.base import MAX_DEPTH, Comparator, Task
from repro.compare.memory import MemoryOutput
from repro.model.outcome import Outcome
from repro.model.verdict import Comparison
from repro.primitives.plugins import load_plugins


@functools.cache
def comparators() -> tuple[Comparator, ...]:
    """One instance of every comparator, in the order they are asked."""
    found = load_plugins(repro.compare.formats, Comparator)  # type: ignore[type-abstract]
    return tuple(cls() for cls in found)


def choose(path: str, heads: tuple[bytes, bytes], options: Mapping[str, object]) -> Comparator:
    """The comparator for a pair: the option ``as`` first, else the first that accepts both.

    When the two sides begin differently (one is a PNG, one is not) the name decides, and
    the comparator then finds one of them malformed.
    """
    wanted = options.get("as")
    for comparator in comparators():
        if wanted in comparator.kinds and all(
            not comparator.magic or head.startswith(comparator.magic) for head in heads
        ):
            return comparator
    for comparator in comparators():
        if all(comparator.accepts(path, head) for head in heads):
            return comparator
    return comparators()[-1]


def compare_part(path: str, old: bytes, new: bytes, task: Task) -> Comparison:
    """Compare a part of a file (a zip's member, a cell's figure) as a file of its own.

    More than three files deep it stays with bytes: UNDECIDED when they differ.
    """
    if old == new:
        return Comparison(outcome=Outcome.IDENTICAL, comparator="bytes/1")
    if task.depth >= MAX_DEPTH:
        note = f"not compared: more than {MAX_DEPTH} files inside files"
        return Comparison(outcome=Outcome.UNDECIDED, comparator="bytes/1", notes=(note,))
    options = {name: value for name, value in task.options.items() if name != "as"}
    chosen = choose(path, (old[:512], new[:512]), options)
    return chosen.compare(
        MemoryOutput(old),
        MemoryOutput(new),
        options,
        path=path,
        reviewer=task.reviewer,
        depth=task.depth + 1,
    )
