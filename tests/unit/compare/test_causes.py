from __future__ import annotations

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
    assert notes("t.csv", TABLE, new) == ""
