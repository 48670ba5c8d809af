"""What must hold for every pair that is judged, whatever it holds."""

from __future__ import annotations

import io
import json
import math
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from repro.compare import arrays, linestream, tablewalk
from repro.compare.arrays import CODES, Array, compare_arrays
from repro.compare.choose import choose, comparators
from repro.compare.findings import Findings
from repro.compare.formats import array, text
from repro.compare.memory import MemoryOutput
from repro.compare.numbers import Tally
from repro.compare.settings import read_settings
from repro.compare.vectors import available, settle
from repro.model.outcome import Outcome
from repro.model.verdict import Comparison

PATHS = (
    "t.csv",
    "d.json",
    "d.yaml",
    "r.txt",
    "r.log",
    "p.svg",
    "n.ipynb",
    "a.npy",
    "x.bin",
    "o.tsv",
    "d.toml",
)
FLOATS = st.floats(allow_nan=True, allow_infinity=True)
NUMBERS = st.lists(st.one_of(FLOATS, st.integers(-(10**20), 10**20)), min_size=1, max_size=8)
TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), FLOATS, st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    max_leaves=12,
)  # fmt: skip


def compare(path: str, old: bytes, new: bytes, **options: object) -> Comparison:
    chosen = choose(path, (old[:512], new[:512]), options)
    return chosen.compare(MemoryOutput(old), MemoryOutput(new), options, path=path)


def table(values: list[float | int]) -> bytes:
    return b"x\n" + "".join(f"{value!r}\n" for value in values).encode()


def written(kind: str, values: list[float | int]) -> bytes:
    """The same numbers as a table, a tree, an array or prose."""
    if kind == "json":
        return json.dumps(values).encode()
    if kind == "npy":
        floats = [float(value) for value in values]
        head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({len(floats)},), }}"
        head = head.ljust(117) + "\n"
        return (
            b"\x93NUMPY\1\0"
            + struct.pack("<H", len(head))
            + head.encode()
            + struct.pack(f"<{len(floats)}d", *floats)
        )
    if kind == "txt":
        return ("values: " + " ".join(map(repr, values)) + "\n").encode()
    return table(values)


@settings(deadline=None)
@given(st.sampled_from(PATHS), st.binary(max_size=300))
def test_a_file_is_identical_with_itself(path: str, data: bytes) -> None:
    assert compare(path, data, data).outcome is Outcome.IDENTICAL


@settings(deadline=None)
@given(st.sampled_from(PATHS), st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)),
       st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))  # fmt: skip
def test_the_sides_can_be_swapped(path: str, one: bytes, two: bytes) -> None:
    assert compare(path, one, two).outcome is compare(path, two, one).outcome


@settings(deadline=None)
@given(st.sampled_from(["csv", "json", "npy", "txt"]), NUMBERS, NUMBERS)
def test_the_sides_of_numbers_can_be_swapped(
    kind: str, one: list[float | int], two: list[float | int]
) -> None:
    pair = written(kind, one), written(kind, two)
    path = f"a.{kind}"
    assert compare(path, *pair).outcome is compare(path, *pair[::-1]).outcome


@settings(deadline=None)
@given(TREES, TREES)
def test_the_sides_of_trees_can_be_swapped(one: object, two: object) -> None:
    pair = json.dumps(one).encode(), json.dumps(two).encode()
    assert compare("a.json", *pair).outcome is compare("a.json", *pair[::-1]).outcome


@settings(deadline=None)
@given(
    st.sampled_from(["csv", "json", "npy", "txt"]), NUMBERS, st.lists(st.floats(-1e-3, 1e-3), min_size=8, max_size=8),
    st.floats(0, 1e-2), st.floats(1, 100),
)  # fmt: skip
def test_a_looser_tolerance_never_gives_a_worse_grade(
    kind: str, values: list[float | int], noise: list[float], rtol: float, more: float
) -> None:
    other = [
        value * (1 + n) if isinstance(value, float) else value
        for value, n in zip(values, noise, strict=False)
    ]
    pair = written(kind, values), written(kind, other)
    path = f"a.{kind}"
    tight = compare(path, *pair, rtol=repr(rtol), atol="0")
    loose = compare(path, *pair, rtol=repr(rtol * more), atol="1e-9")
    assert loose.outcome.rank <= tight.outcome.rank


@settings(deadline=None)
@given(FLOATS, FLOATS, st.floats(0, 1), st.floats(0, 1))
def test_one_pair_of_numbers_is_within_when_the_rule_says_so(
    a: float, b: float, rtol: float, atol: float
) -> None:
    within = Tally(rtol, atol).add("x", a, b)
    assert within == Tally(rtol, atol).add("x", b, a)
    if math.isfinite(a) and math.isfinite(b) and math.isfinite(a - b):
        assert within == (a == b or abs(a - b) <= atol + rtol * max(abs(a), abs(b)))
    else:
        assert not within or a == b or (a != a and b != b) or not math.isfinite(a - b)


@given(
    st.sampled_from(PATHS),
    st.sampled_from(
        [ValueError, KeyError, RecursionError, ZeroDivisionError, MemoryError, TypeError]
    ),
)
@settings(max_examples=60, deadline=None)
def test_any_exception_in_a_comparator_ends_as_undecided(path: str, error: type[Exception]) -> None:
    chosen = choose(path, (b"a", b"b"), {})

    class Crashing(type(chosen)):  # type: ignore[misc]
        def _compare_files(self, *rest: object) -> Comparison:
            raise error("from within")

    found = Crashing().compare(MemoryOutput(b"a"), MemoryOutput(b"b"), {}, path=path)
    assert found.outcome is Outcome.UNDECIDED
    assert not found.outcome.meets(Outcome.CLOSE)
    assert any(error.__name__ in note for note in found.notes)


@pytest.mark.parametrize("comparator", comparators(), ids=lambda c: c.name)
def test_a_file_that_cannot_be_read_ends_as_undecided(comparator: object) -> None:
    class Vanishing(MemoryOutput):
        def open(self) -> io.BytesIO:
            raise PermissionError(13, "Permission denied")

    found = comparator.compare(Vanishing(b"a"), MemoryOutput(b"b"), {})  # type: ignore[attr-defined]
    assert found.outcome is Outcome.UNDECIDED


@settings(deadline=None)
@given(st.sampled_from(sorted(CODES)), st.sampled_from("<>"), st.binary(min_size=16, max_size=320),
       st.lists(st.tuples(st.integers(0, 319), st.integers(0, 255)), max_size=6))  # fmt: skip
def test_numpy_settles_blocks_as_the_slow_way_does(
    plain: str, order: str, data: bytes, changes: list[tuple[int, int]]
) -> None:
    if not available():
        pytest.skip("NumPy is not installed")
    data = data[: len(data) // 16 * 16]
    if plain == "b1":
        data = bytes(value & 1 for value in data)
    other = bytearray(data)
    for place, value in changes:
        other[place % len(data)] = value & 1 if plain == "b1" else value
    width = int(plain[1:])
    if len(data) % width:
        return
    sides = [
        Array(type=order + plain, shape=(len(data) // width,), data=bytes(d)) for d in (data, other)
    ]
    slow = Findings("x", read_settings({}))
    compare_arrays(*sides, slow)
    quick = Findings("x", read_settings({}))
    part = settle(data, bytes(other), order + CODES[plain], 1e-9, 1e-12, plain in ("f8", "c16"))
    quick.tally.take(part)
    for _, one, two in part.left:
        if isinstance(one, float):
            quick.tally.add("x", one, two, steps=plain in ("f8", "c16"))
        else:
            quick.tally.whole("x", int(one), int(two))
    one, two = slow.tally, quick.tally
    if data == other:
        return
    assert (one.differ, one.beyond, one.nan_mismatch, one.signed_zero) == (
        two.differ,
        two.beyond,
        two.nan_mismatch,
        two.signed_zero,
    )
    summaries = one.summary(), two.summary()
    assert summaries[0] is not None and summaries[1] is not None
    for name in ("n", "differ", "max_abs", "max_rel", "max_ulp", "nan_mismatch"):
        assert getattr(summaries[0], name) == getattr(summaries[1], name), name


CELLS = st.one_of(
    st.sampled_from(["a", "", "1", "-2.5", "007", '"q, r"', '"two\nlines"', "nan", "1e308", "ü"]),
    st.floats(-1e3, 1e3).map(repr),
)
ROWS = st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=30)
EDITS = st.lists(
    st.tuples(st.sampled_from(["cell", "noise", "drop", "twice", "swap"]), st.integers(0, 29), CELLS), max_size=3
)  # fmt: skip


def edited(rows: list[tuple[str, ...]], edits: list[tuple[str, int, str]]) -> list[tuple[str, ...]]:
    found = list(rows)
    for kind, place, cell in edits:
        place %= len(found)
        row = found[place]
        if kind == "cell":
            found[place] = (*row[:2], cell)
        elif kind == "noise" and "." in row[1] and "e" not in row[1]:
            found[place] = (row[0], repr(float(row[1]) * (1 + 4e-16)), row[2])
        elif kind == "drop" and len(found) > 1:
            del found[place]
        elif kind == "twice":
            found.insert(place, row)
        elif kind == "swap":
            found[place], found[0] = found[0], found[place]
    return found


@settings(deadline=None)
@given(ROWS, EDITS, st.booleans(), st.sampled_from([1, 3, 4096]))
def test_large_tables_are_judged_as_small_ones(
    rows: list[tuple[str, ...]], edits: list[tuple[str, int, str]], returns: bool, many: int
) -> None:
    sides = ["".join(",".join(row) + "\n" for row in side) for side in (rows, edited(rows, edits))]
    one, two = ("k,l,m\n" + side * 3 for side in sides)
    pair = one.encode(), (two.replace("\n", "\r\n") if returns else two).encode()
    small = compare("t.csv", *pair)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tablewalk, "_COUNTED", -1)
        patch.setattr(tablewalk, "_MANY", many)
        patch.setattr(linestream, "BLOCK", 64)
        large = compare("t.csv", *pair)
    assert large.outcome is small.outcome
    assert large.summary == small.summary
    if small.outcome is Outcome.CLOSE:
        assert small.numbers is not None and large.numbers is not None
        for name in ("differ", "max_abs", "max_ulp", "first"):
            assert getattr(large.numbers, name) == getattr(small.numbers, name), name


@settings(deadline=None)
@given(
    st.lists(FLOATS, min_size=1, max_size=60),
    st.lists(st.tuples(st.integers(0, 59), FLOATS), max_size=4),
    st.integers(0, 9),
)
def test_large_arrays_are_judged_as_small_ones(
    values: list[float], edits: list[tuple[int, float]], cut: int
) -> None:
    other = list(values)
    for place, value in edits:
        other[place % len(other)] = value
    pair = written("npy", list(values)), written("npy", list(other))
    pair = pair[0], pair[1][: len(pair[1]) - cut]
    small = compare("a.npy", *pair)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array, "MAX_BYTES", 0)
        patch.setattr(arrays, "_BLOCK", 7)
        patch.setattr(arrays, "MANY", 0)
        large = compare("a.npy", *pair)
    assert large.outcome is small.outcome
    if large.numbers is not None and small.numbers is not None:
        assert large.numbers == small.numbers


LINE = st.sampled_from(
    ["slope 1.5", "slope 1.6", 'say "x"', "done in 3.2 s", "done in 4.1 s", "", "half\rwhole", "2024-01-02 10:11:12 INFO a", "ü", "x\r"]
)  # fmt: skip


@settings(deadline=None)
@example(["slope 1.5"] * 2, ["slope 1.5"], True, {"ignore": ["^slope"]}, "t.txt")
@given(
    st.lists(LINE, max_size=12), st.lists(LINE, max_size=12), st.booleans(),
    st.sampled_from([{}, {"rtol": "0.5"}, {"ignore": ["^slope"]}]), st.sampled_from(["t.txt", "t.log"]),
)  # fmt: skip
def test_long_texts_are_judged_as_short_ones(
    one: list[str], two: list[str], same: bool, options: dict[str, object], path: str
) -> None:
    if same:
        two = [*one[:5], *two[:1], *one[6:]]
    pair = "\n".join(one).encode(), "\n".join(two).encode()
    short = compare(path, *pair, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "MAX_BYTES", 0)
        patch.setattr(linestream, "BLOCK", 16)
        long = compare(path, *pair, **options)
    if "ignore" in options:
        # Whether the last line, if it is ignored, was cut off counts in a long text.
        assert long.outcome.rank >= short.outcome.rank or not long.outcome.meets(Outcome.CLOSE)
    else:
        assert long.outcome is short.outcome


@settings(deadline=None)
@given(
    st.sampled_from(["csv", "json", "npy"]),
    st.lists(st.sampled_from([1.0, 2.5, -7.25]), min_size=1, max_size=40),
    st.lists(st.integers(0, 39), min_size=1, max_size=4),
)
def test_noise_is_close_however_alike_the_numbers_are(
    kind: str, values: list[float], places: list[int]
) -> None:
    other = list(values)
    for place in places:
        other[place % len(other)] *= 1 + 4e-16
    found = compare(f"a.{kind}", written(kind, list(values)), written(kind, list(other)))
    assert found.outcome is Outcome.CLOSE, found
