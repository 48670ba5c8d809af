"""What probably explains a difference, worded as a guess and only where there is a sign of it."""

from __future__ import annotations

from collections.abc import Iterator

from repro.model.outcome import Outcome
from repro.model.verdict import Comparison

_ROUNDING = 1e-6
_LINES = ("csv/1", "text/1", "log/1", "jsonl/1")
_MAX_SORTED = 32 << 20


def causes(old: bytes, new: bytes, found: Comparison) -> tuple[str, ...]:
    """Notes about a pair that is DIFFERENT: cut off, another order, rounding."""
    if found.outcome is not Outcome.DIFFERENT:
        return ()
    return tuple(_causes(old, new, found))


def _causes(old: bytes, new: bytes, found: Comparison) -> Iterator[str]:
    if not new:
        yield "the rerun's file is empty"
    elif not old:
        yield "the recorded file is empty"
    elif old.startswith(new):
        yield "the rerun's file is the beginning of the recorded one: perhaps it was cut off"
    elif new.startswith(old):
        yield "the recorded file is the beginning of the rerun's: perhaps it was cut off"
    elif (
        found.comparator in _LINES
        and len(old) == len(new) <= _MAX_SORTED
        and (sorted(old.split(b"\n")) == sorted(new.split(b"\n")))
    ):
        yield "both hold the same lines in another order: perhaps files, sets or threads unordered"
    numbers = found.numbers
    if (
        numbers is not None
        and numbers.differ
        and not numbers.nan_mismatch
        and 0 < float(numbers.max_rel or 0) < _ROUNDING
        and all(item.text == "number differs" for item in found.differences)
    ):
        yield (
            f"all numbers agree to {numbers.max_rel} of their size: perhaps rounding by another "
            "processor, library or number of threads"
        )
