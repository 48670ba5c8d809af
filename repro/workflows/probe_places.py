"""Which lines of the project may be why an output varies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from repro.model.stability import OutputClass, Spot, Stability
from repro.project.variation_files import Source

_BEHIND: Mapping[str, tuple[str, ...]] = {
    "host-name": ("host-name",),
    "user-id": ("user-id",),
    "cpus": ("cpus", "order", "threads"),
    "threads": ("threads", "order", "cpus"),
    "locale": ("locale",),
    "time-zone": ("time-zone", "clock"),
    "hash-seed": ("hash-seed",),
    "directory-order": ("directory-order",),
    "blas-kernel": ("threads",),
    "cpu-features": ("threads",),
    "addresses": ("addresses", "hash-seed"),
    "source-date": ("clock",),
    "clock": ("clock",),
}
"""Which kinds of lines let an axis in; the likeliest first."""
CHANCE = ("random", "clock", "order", "process", "addresses")
"""What makes two reruns differ though nothing was varied."""
ON_HOST = (*CHANCE, "directory-order", "host-name", "user-id")
"""What makes a sealed rerun differ from the recording, which ran outside a sandbox."""
_MOST = 5


def with_spots(
    found: OutputClass, sources: Sequence[Source], axes: Sequence[str] = ()
) -> OutputClass:
    """The class with the lines that may explain it; ``axes`` are further kinds of lines."""
    if found.stability is Stability.DETERMINISTIC:
        return found
    if found.stability is Stability.VARIES:
        kinds = [kind for axis in found.axes for kind in _BEHIND.get(axis, ())]
    else:
        kinds = [*CHANCE, *axes]
    return replace(found, spots=spots_for(found.path, kinds, sources))


def spots_for(path: str, kinds: Sequence[str], sources: Sequence[Source]) -> tuple[Spot, ...]:
    """Lines of these kinds from which something may come into the output.

    The lines that flow into it, where a source names its file; else every line of these kinds
    in such a source whose flow is only guessed at; else every line of these kinds.
    """
    name = PurePosixPath(path).name
    ranked: list[tuple[int, int, Spot]] = []
    for source in sources:
        flows = source.flows(name)
        own = source.path == path  # a notebook: its cells write their results into itself
        for spot in source.spots:
            inside = own or (flows is not None and (spot.cell, spot.line) in flows)
            if spot.axis not in kinds or (flows is not None and source.exact and not inside):
                continue
            rank = 0 if inside else 1 if flows is not None else 2
            ranked.append((rank, kinds.index(spot.axis), spot))
    best = min((rank for rank, _, _ in ranked), default=0)
    ranked = [each for each in ranked if each[0] == best]
    ranked.sort(key=lambda each: (each[1], each[2].path, each[2].cell or 0, each[2].line))
    return tuple(_one_each(spot for _, _, spot in ranked))[:_MOST]


def _one_each(spots: Iterator[Spot]) -> Iterator[Spot]:
    """One for each line: a call may count as two kinds."""
    seen: set[tuple[str, int | None, int]] = set()
    for spot in spots:
        if (spot.path, spot.cell, spot.line) not in seen:
            seen.add((spot.path, spot.cell, spot.line))
            yield spot
