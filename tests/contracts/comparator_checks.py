"""What every comparator must do with every case, whichever suite the case belongs to."""

from __future__ import annotations

import random

from comparator_pairs import Case

from repro.compare.choose import choose
from repro.compare.memory import MemoryOutput
from repro.model.outcome import Outcome
from repro.model.verdict import Comparison


def compare(path: str, old: bytes, new: bytes, **options: object) -> Comparison:
    """Compare two files as the judge does."""
    chosen = choose(path, (old[:512], new[:512]), options)
    return chosen.compare(MemoryOutput(old), MemoryOutput(new), options, path=path)


def differing(case: Case, other: bytes) -> Comparison:
    """Compare the base with another file, which must not be the same."""
    assert case.base != other, "the same bytes prove nothing"
    return compare(case.path, case.base, other)


def benign(case: Case, label: str) -> None:
    """A benign variant is equivalent, and what was left out is named."""
    found = differing(case, case.benign[label])
    assert found.outcome is Outcome.EQUIVALENT, found
    assert found.removed, "what was left out must be named"


def close(case: Case, label: str) -> None:
    """A variant inside the tolerance is close, and the tolerance is told."""
    found = differing(case, case.close[label])
    assert found.outcome is Outcome.CLOSE, found
    assert found.tolerance.get("from") == "default" or found.notes


def fault(case: Case, label: str) -> None:
    """A planted fault never passes; where the format is understood it is a difference."""
    found = differing(case, case.faults[label])
    assert not found.outcome.meets(Outcome.CLOSE), found
    if case.opaque or label in case.beyond:
        assert found.outcome is Outcome.UNDECIDED and found.notes, found
    else:
        assert found.outcome is Outcome.DIFFERENT, found
        assert found.differences


def symmetry(case: Case) -> None:
    """Swapped sides give the same outcome."""
    for other in [*case.benign.values(), *case.close.values(), *case.faults.values()]:
        one, two = compare(case.path, case.base, other), compare(case.path, other, case.base)
        assert one.outcome is two.outcome
        assert one.comparator == two.comparator


def truncation(case: Case) -> None:
    """The beginning of a file never passes for the whole."""
    size = len(case.base)
    cuts = {0, 1, 7, size // 4, size // 2, size * 3 // 4, size - 9, size - 2, size - 1}
    for cut in sorted(cuts):
        for pair in ((case.base, case.base[:cut]), (case.base[:cut], case.base)):
            found = compare(case.path, *pair)
            assert not found.outcome.meets(Outcome.CLOSE), (cut, found)


def noise(case: Case) -> None:
    """Changed bytes end in some outcome, never in an exception."""
    chance = random.Random(case.path)
    for _ in range(8 if case.sealed else 60):
        data = bytearray(case.base)
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        found = compare(case.path, case.base, bytes(data))
        assert found.outcome in Outcome
