"""A file's content as leaves by place: what readers of many formats give, compared by one judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Union

from repro.compare.arrays import Array, compare_arrays
from repro.compare.findings import Findings
from repro.compare.tree import compare_trees
from repro.primitives.frozen import frozen

MAX_LEAVES = 100_000
_SHOWN = 200


@frozen
class Texts:
    """Strings that are data: exact, None where a value is missing.

    ``first`` is the number of the first one where they are a part of a longer row.
    """

    values: tuple[str | None, ...]
    shape: tuple[int, ...] = ()
    first: int = 0

    def __str__(self) -> str:
        return f"{' x '.join(map(str, self.shape)) or len(self.values)} texts"


@frozen
class Blob:
    """Bytes that are data: exact."""

    data: bytes

    def __str__(self) -> str:
        return f"{len(self.data)} bytes"


@frozen
class Tree:
    """Mappings, lists and scalars that describe (attributes); their texts are scrubbed."""

    value: object

    def __str__(self) -> str:
        return repr(self.value)[:_SHOWN]


Leaf = Union[Array, Texts, Blob, Tree]  # noqa: UP007 - Python 3.10 cannot test `|` with isinstance
Content = Mapping[str, Leaf]


def compare_contents(old: Content, new: Content, findings: Findings) -> None:
    """Compare leaf by leaf; a place on one side only is a difference."""
    for place, leaf in old.items():
        if place not in new:
            findings.differ(place, _only(place, "the recorded"), str(leaf), None)
        elif leaf != new[place]:
            compare_leaves(leaf, new[place], findings, place)
        elif isinstance(leaf, Array):
            compare_arrays(leaf, leaf, findings)
    for place, leaf in new.items():
        if place not in old:
            findings.differ(place, _only(place, "the rerun's"), None, str(leaf))


def _only(place: str, side: str) -> str:
    # Readers of columns give the mask of what is missing as a leaf beside the values.
    return (
        f"a missing value in {side} file" if place.endswith(", missing") else f"only in {side} file"
    )


def compare_leaves(old: Leaf, new: Leaf, findings: Findings, place: str) -> None:
    """Compare two leaves at one place."""
    if isinstance(old, Array) and isinstance(new, Array):
        compare_arrays(old, new, findings, place, place)
    elif isinstance(old, Texts) and isinstance(new, Texts):
        _texts(old, new, findings, place)
    elif isinstance(old, Tree) and isinstance(new, Tree):
        compare_trees(old.value, new.value, findings, place)
    elif isinstance(old, Blob) and isinstance(new, Blob):
        if old.data != new.data:
            findings.differ(place, "bytes differ", str(old), str(new))
    else:
        findings.differ(place, "another kind of value", str(old), str(new))


def _texts(old: Texts, new: Texts, findings: Findings, place: str) -> None:
    if old.shape != new.shape or len(old.values) != len(new.values):
        findings.differ(place, "another shape", str(old), str(new))
        return
    for number, (one, two) in enumerate(zip(old.values, new.values, strict=True), old.first):
        if one != two:
            findings.differ(f"{place}[{number}]", "text differs", _show(one), _show(two))
    if sorted(map(_show, old.values)) == sorted(map(_show, new.values)):
        findings.explain(
            f"{place} holds the same texts in another order: perhaps unordered", once=True
        )


def _show(text: str | None) -> str:
    return "missing" if text is None else text[:_SHOWN]


def summary(content: Content) -> str:
    """What a file holds, for the report's one line."""
    arrays = sum(isinstance(leaf, Array) for leaf in content.values())
    others = len(content) - arrays
    return ", ".join(_counted(content, arrays, others)) or "empty"


def _counted(content: Content, arrays: int, others: int) -> Iterator[str]:
    if arrays == 1:
        yield next(str(leaf) for leaf in content.values() if isinstance(leaf, Array))
    elif arrays:
        yield f"{arrays} arrays"
    if others:
        yield f"{others} other value{'s' if others > 1 else ''}"
