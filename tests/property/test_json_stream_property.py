"""Large JSON piece by piece ends as small JSON at once, whatever the document."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.compare import jsonstream
from repro.compare.formats import jsondoc
from repro.compare.memory import MemoryOutput
from repro.model.outcome import Outcome
from repro.model.verdict import Comparison

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["a,b", "],", "},", '"', "\\", "[{", "\u2028"])
)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=8)
        | st.lists(st.integers(0, 9) | st.floats(0, 1), max_size=60)
        | st.dictionaries(st.text(max_size=4), inner, max_size=8)
    ),
    max_leaves=60,
)


@pytest.fixture(autouse=True, scope="module")
def small_windows() -> Iterator[None]:
    """Windows of some characters, so that nearly nothing fits into one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonstream, "WINDOW", 24)
        patch.setattr(jsonstream, "_MARGIN", 40)
        patch.setattr(jsonstream, "_BATCH", 40)
        yield


def both(old: bytes, new: bytes, name: str = "json", **options: object) -> list[Comparison]:
    """The document at once, and piece by piece."""
    found = []
    kinds = {"json": jsondoc.JsonComparator, "jsonl": jsondoc.JsonLinesComparator}
    for large in (1 << 30, -1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jsondoc, "LARGE", large)
            comparator = kinds[name]()
            found.append(comparator.compare(MemoryOutput(old), MemoryOutput(new), options))
    return found


def same_verdict(whole: Comparison, pieces: Comparison) -> None:
    assert pieces.outcome is whole.outcome, (whole, pieces)
    if whole.outcome is Outcome.CLOSE and whole.numbers is not None and whole.numbers.differ:
        assert pieces.numbers is not None
        assert pieces.numbers.max_abs == whole.numbers.max_abs
        assert pieces.numbers.differ == whole.numbers.differ


@st.composite
def changed(draw: st.DrawFn) -> tuple[Any, Any]:
    """A tree, and the same with something changed somewhere, or nothing."""
    old = draw(trees)
    new = copy.deepcopy(old)
    parents: list[tuple[Any, Any]] = []

    def collect(node: Any) -> None:
        if isinstance(node, (list, dict)):
            for key in range(len(node)) if isinstance(node, list) else list(node):
                parents.append((node, key))
                collect(node[key])

    collect(new)
    if parents:
        for _ in range(draw(st.integers(0, 2))):
            parent, key = parents[draw(st.integers(0, len(parents) - 1))]
            if isinstance(parent, list) and key >= len(parent):
                continue
            kind = draw(st.sampled_from(["replace", "remove", "noise", "move"]))
            if kind == "replace":
                parent[key] = draw(scalars)
            elif kind == "remove" and (isinstance(parent, list) or key in parent):
                del parent[key]
            elif kind == "noise" and isinstance(parent, list) and isinstance(parent[key], float):
                parent[key] *= 1 + 1e-12
            elif kind == "move" and isinstance(parent, dict) and key in parent:
                parent[key] = parent.pop(key)
    return old, new


@settings(max_examples=400, deadline=None)
@given(changed(), st.booleans(), st.sampled_from([None, 1]))
def test_pieces_end_like_the_whole(pair: tuple[Any, Any], sort: bool, indent: int | None) -> None:
    old = json.dumps(pair[0]).encode()
    new = json.dumps(pair[1], indent=indent, sort_keys=sort, ensure_ascii=sort).encode(
        "utf-8", "surrogatepass"
    )
    whole, pieces = both(old, new)
    # Keys in another order around a value that does not fit cannot be told apart in pieces.
    if pieces.outcome is Outcome.UNDECIDED and "elsewhere" in " ".join(pieces.notes):
        return
    same_verdict(whole, pieces)


@settings(max_examples=200, deadline=None)
@given(changed(), st.data())
def test_cut_off_or_changed_text_ends_like_the_whole(pair: tuple[Any, Any], data: Any) -> None:
    old = json.dumps(pair[0]).encode()
    at = data.draw(st.integers(0, len(old) - 1))
    new = data.draw(
        st.sampled_from(
            [old[:at], old[:at] + b"," + old[at:], old + b"]", old[:at] + old[at + 1 :]]
        )
    )
    whole, pieces = both(old, new)
    if not (pieces.outcome is Outcome.UNDECIDED and "elsewhere" in " ".join(pieces.notes)):
        same_verdict(whole, pieces)


@settings(max_examples=200, deadline=None)
@given(st.lists(changed(), max_size=5), st.booleans())
def test_lines_end_like_the_whole(pairs: list[tuple[Any, Any]], blank: bool) -> None:
    old = b"".join(json.dumps(one).encode() + b"\n" for one, _ in pairs)
    new = b"".join(json.dumps(two).encode() + b"\n" * (1 + blank) for _, two in pairs)
    same_verdict(*both(old, new, "jsonl"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('{"a": 1, "a": 2, "b": [1, 2, 3, 4, 5, 6, 7, 8, 9]}', None),
        ('{"x": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], "x": 1}', None),
        ('{"a": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "m": {"date": "x", "n": [1, 2, 3, 4, 5, 6]}}',
         '{"a": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "m": {"date": "y", "n": [1, 2, 3, 4, 5, 7]}}'),
        ("[" * 99 + "]" * 99, "[" * 99 + " " + "]" * 99),
        ('"' + "x" * 500 + '"', '"' + "x" * 499 + 'y"'),
        ("[1, 2, 3, 4, 5, 6, 7, 8, 9, xyz, 4, 5, 6, 7, 8, 9, 10]", "[1]"),
        ("\ufeff[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]", "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ignore", [[], [r"\$\.m"]])
def test_corners_end_like_the_whole(old: str, new: str | None, ignore: list[str]) -> None:
    other = new if new is not None else old + " "
    same_verdict(*both(old.encode(), other.encode(), ignore=ignore))
    same_verdict(*both(other.encode(), old.encode(), ignore=ignore))
    wide = other.encode("utf-16")
    same_verdict(*both(old.encode("utf-16"), wide + b" \0", ignore=ignore))


def test_what_need_not_be_held_is_not_undecided() -> None:
    old = {"first": list(range(300)), "second": {"a": 1, "b": 2, "c": 3}, "third": "x"}
    new = {"third": "x", **old}
    found = both(json.dumps(old).encode(), json.dumps(new).encode())
    assert [each.outcome for each in found] == [Outcome.EQUIVALENT, Outcome.UNDECIDED]
    assert "$ has a large value whose key comes elsewhere" in " ".join(found[1].notes)
