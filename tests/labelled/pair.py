"""One labelled pair: two files, what a judge must make of them, and why they differ."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Variant = tuple[str, bytes]
"""A cause (a key of ``score.CAUSES``) and the other side's bytes."""


@dataclass(frozen=True)
class Pair:
    """``label`` is benign, close, fault or opaque.

    benign: equivalent or better. close: exactly close. fault: different. opaque: undecided
    with its reason named, where a format is refused on purpose (never success).
    ``cause`` is what the findings must name; ``also`` what they may name beside it.
    """

    format: str
    name: str
    path: str
    old: bytes
    new: bytes
    label: str
    cause: str
    also: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"{self.format}: {self.name}"


def group(
    format: str,
    path: str,
    base: bytes,
    *,
    options: Mapping[str, Any] | None = None,
    **labels: Mapping[str, Variant],
) -> Iterator[Pair]:
    """Pairs of one base file; each label's variants by name: cause and bytes."""
    for label, variants in labels.items():
        for name, (cause, data) in variants.items():
            named, _, also = cause.partition("+")
            yield Pair(
                format=format,
                name=name,
                path=path,
                old=base,
                new=data,
                label=label,
                cause=named,
                also=tuple(filter(None, also.split("+"))),
                options=options or {},
            )


def numbers(count: int, seed: int = 1) -> list[float]:
    """Numbers of ordinary sizes, some negative, none zero."""
    chance = random.Random(seed)
    return [chance.uniform(0.5, 50) * chance.choice((1, 1, 1, -1)) for _ in range(count)]


def changed(values: list[Any], index: int, value: Any) -> list[Any]:
    """A copy with one item replaced."""
    copy = list(values)
    copy[index] = value
    return copy


def replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    """``data`` with one piece replaced, which must be there exactly once."""
    assert data.count(old) == 1, (data.count(old), old)
    return data.replace(old, new)
