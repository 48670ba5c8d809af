"""What probably explains a difference, worded as a guess and only where there is a sign of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from repro.compare.numbers import ROUNDING
from repro.compare.parting import parting
from repro.model.outcome import Outcome
from repro.model.ports import OutputFile
from repro.model.verdict import Comparison

_LINES = ("text/1", "log/1")
_MAX_SORTED = 32 << 20


def causes(old: OutputFile, new: OutputFile, found: Comparison) -> tuple[str, ...]:
    """Notes about a pair that is DIFFERENT: cut off, another order, rounding."""
    if found.outcome is not Outcome.DIFFERENT:
        return ()
    return tuple(_causes(old, new, found))


def _causes(old: OutputFile, new: OutputFile, found: Comparison) -> Iterator[str]:
    shared = parting(old, new) if old.size != new.size else -1
    if not new.size:
        yield "the rerun's file is empty"
    elif not old.size:
        yield "the recorded file is empty"
    elif shared == new.size:
        yield "the rerun's file is the beginning of the recorded one: perhaps it was cut off"
    elif shared == old.size:
        yield "the recorded file is the beginning of the rerun's: perhaps it was cut off"
    elif found.comparator in _LINES and old.size == new.size <= _MAX_SORTED and _moved(old, new):
        yield "both hold the same lines in another order: perhaps files, sets or threads unordered"
    numbers = found.numbers
    if (
        numbers is not None
        and numbers.differ
        and not numbers.nan_mismatch
        and 0 < float(numbers.max_rel or 0) < ROUNDING
        and all(item.text == "number differs" for item in found.differences)
    ):
        yield (
            f"all numbers agree to {numbers.max_rel} of their size: perhaps rounding by another "
            "processor, library or number of threads"
        )


def _moved(old: OutputFile, new: OutputFile) -> bool:
    with contextlib.closing(old.open()) as left, contextlib.closing(new.open()) as right:
        return sorted(left.read().split(b"\n")) == sorted(right.read().split(b"\n"))
