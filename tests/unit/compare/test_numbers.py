from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.compare.numbers import Tally, is_whole, read_number, ulps


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1.0), ("-2.5e-3", -0.0025), (".5", 0.5), ("5.", 5.0), (" 7 ", 7.0), ("+1", 1.0),
     ("inf", math.inf), ("-Infinity", -math.inf), ("0", 0.0), ("0.5", 0.5)],
)  # fmt: skip
def test_numbers_are_read(text: str, value: float) -> None:
    assert read_number(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "007", "01.5", "-00", "1,5", "1_000", "0x10", "1e", "e5", "2020-01-01", "१", "1 2", "--1",
     "1.2.3", "\t1", "9" * 500],
)  # fmt: skip
def test_identifiers_are_no_numbers(text: str) -> None:
    assert read_number(text) is None


def test_whole_numbers_are_canonical() -> None:
    assert is_whole("12") and is_whole("-3") and is_whole("0")
    assert not is_whole("012") and not is_whole("1.0") and not is_whole("1e3")


def test_ulps() -> None:
    assert ulps(1.0, math.nextafter(1.0, 2)) == 1
    assert ulps(0.0, -0.0) == 0
    assert ulps(5e-324, -5e-324) == 2
    assert ulps(1.0, math.inf) is None


@given(st.floats(allow_nan=True), st.floats(allow_nan=True))
def test_the_sides_are_symmetric(one: float, two: float) -> None:
    first, second = Tally(1e-9, 1e-12), Tally(1e-9, 1e-12)
    assert first.add("x", one, two) == second.add("x", two, one)
    assert first.summary() == second.summary()
    found = first.summary()
    assert found is not None
    json.dumps(found.to_json(), allow_nan=False)
    assert (found.differ == 0) == (one == two or (one != one and two != two))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_nothing_but_equal_passes_a_zero_tolerance(value: float) -> None:
    other = math.nextafter(value, math.inf)
    assert not Tally(0, 0).add("x", value, other)
    assert Tally(0, 0).add("x", value, value)


def test_rules_for_special_values() -> None:
    tally = Tally(1.0, 1e300)
    assert tally.add("a", math.nan, math.nan)
    assert tally.add("b", math.inf, math.inf)
    assert not tally.add("c", math.inf, -math.inf)
    assert not tally.add("d", math.nan, 1.0)
    assert not tally.add("e", math.inf, 1.0)
    assert tally.add("f", 0.0, -0.0) and tally.signed_zero
    found = tally.summary()
    assert found is not None
    assert (found.n, found.differ, found.nan_mismatch, found.first) == (6, 3, 1, "c")


def test_an_overflowing_gap_is_beyond_any_tolerance() -> None:
    assert not Tally(10.0, 0).add("x", 1.7e308, -1.7e308)


def test_the_summary_of_parts_adds_up() -> None:
    part = Tally(1e-9, 0)
    part.add("row 2", 1.0, 1.5)
    found = part.summary()
    assert found is not None
    whole = Tally(1e-9, 0)
    whole.equal(3)
    whole.absorb(found, "a.csv")
    total = whole.summary()
    assert total is not None
    assert (total.n, total.differ, total.first, total.max_abs) == (4, 1, "a.csv, row 2", "0.5")


def test_integers_are_exact_and_huge_ones_harmless() -> None:
    tally = Tally(1.0, 1e300)
    assert tally.whole("x", 10**400, 10**400)
    assert not tally.whole("x", 10**400, -(10**400))
    assert not tally.whole("x", 1, 2)
    found = tally.summary()
    assert found is not None
    json.dumps(found.to_json(), allow_nan=False)
