from __future__ import annotations

from collections.abc import Callable

import pytest

from repro.compare.choose import choose
from repro.compare.memory import MemoryOutput


def notes(path: str, old: bytes, new: bytes) -> str:
    chosen = choose(path, (old[:512], new[:512]), {})
    return " ".join(chosen.compare(MemoryOutput(old), MemoryOutput(new), {}).notes)


TABLE = b"a,b\n1,2.5\n2,3.5\n"


@pytest.mark.parametrize(
    ("old", "new", "guess"),
    [
        (TABLE, b"", "is empty"),
        (TABLE, TABLE[:8], "the rerun's file is the beginning"),
        (TABLE[:8], TABLE, "the recorded file is the beginning"),
        (TABLE, b"a,b\n2,3.5\n1,2.5\n", "in another order"),
        (TABLE, b"a,b\n1,2.50000001\n2,3.5\n", "perhaps rounding"),
    ],
)
def test_a_likely_cause_is_named(old: bytes, new: bytes, guess: str) -> None:
    assert guess in notes("t.csv", old, new)


@pytest.mark.parametrize(
    "new",
    [b"a,b\n1,2.6\n2,3.5\n", b"a,b\n1,2.50000001\n3,3.5\n", b"a,b\n1,2.5000000000001\n2,3.5\n"],
)
def test_no_guess_without_a_sign(new: bytes) -> None:
    said = notes("t.csv", TABLE, new)
    words = ("rounding", "order", "cut off", "seed", "unit", "other sign", "digits")
    assert not any(word in said for word in words)


COLUMN = [12.5, 3.25, 47.0, 8.125, 91.5, 16.75, 33.0, 2.5, 64.25, 71.0]


@pytest.mark.parametrize(
    ("change", "guess"),
    [
        (lambda v: -v, "the other sign"),
        (lambda v: v * 1000, "by the factor 1000: perhaps another unit"),
        (lambda v: v - 273.15, "is shifted by -273.15"),
        (lambda v: round(v, 0) + 0.0, "rounded to fewer digits"),
        (lambda v: (v * 7919) % 97 + 0.5, "random numbers without a seed"),
        (lambda v: v + 1 if v == 47.0 else v, "1 of 10 numbers differ: perhaps single values"),
        (lambda v: float("nan") if v == 47.0 else v, "perhaps a missing value"),
    ],
)
def test_what_numbers_have_in_common_is_named(change: Callable[[float], float], guess: str) -> None:
    tables = [
        "".join(f"{value!r}\n" for value in column).encode()
        for column in (COLUMN, [change(value) for value in COLUMN])
    ]
    assert guess in notes("t.csv", *tables)
