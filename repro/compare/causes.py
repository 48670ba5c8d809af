"""What probably explains a difference, worded as a guess and only where there is a sign of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from repro.compare.numbers import ROUNDING
from repro.compare.parting import parting
from repro.model.outcome import Outcome
from repro.model.ports import OutputFile
from repro.model.stability import AXES, OutputClass, Spot, Stability, recorded_classes
from repro.model.verdict import Comparison, OutputVerdict, Verdict
from repro.primitives.texts import printable

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


_NAMED = 3
_MOST = 20
_ORDER = ("hash-seed", "directory-order", "order", "locale")
_SUMS = ("threads", "order", "cpus")


def place_causes(verdict: Verdict, circumstances: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """The lines of the project that may be why outputs differ, as hints: ``code``, ``text``, ``at``.

    From what the author's probe and self-test left in the recording; an archive's word, so
    it explains and never decides. Guesses all: the reports say "perhaps".
    """
    classes = recorded_classes(circumstances)
    self_test = circumstances.get("self_test")
    places = self_test.get("places") if isinstance(self_test, dict) else None
    wrong = [o for o in verdict.outputs if o.outcome in (Outcome.DIFFERENT, Outcome.UNDECIDED)]
    for output in wrong[:_MOST]:
        known = classes.get(output.path)
        listed = places.get(output.path) if isinstance(places, dict) else None
        suspects = [Spot.parse(item) for item in listed] if isinstance(listed, list) else []
        yield from _place_causes(output, known, [spot for spot in suspects if spot is not None])


def _place_causes(
    output: OutputVerdict, known: OutputClass | None, suspects: Sequence[Spot]
) -> Iterator[dict[str, str]]:
    path = printable(output.path, 120)
    if known is not None and known.stability is Stability.DETERMINISTIC:
        yield {
            "code": "not-varied",
            "text": f"{path} was deterministic in the author's probe: something that it did not "
            "vary, such as the date, the system's kernel or a graphics processor",
        }  # fmt: skip
        return
    if known is not None:
        what = f"{path} in the author's probe: {known.sentence()}"
        spots: Sequence[Spot] = known.spots
    elif suspects:
        what = f"{path} differed in the author's own self-test"
        spots = suspects
    else:
        return
    if not spots:
        yield {"code": _code(known), "text": f"{what}; the line is not known"}
    for spot in sorted(spots, key=lambda spot: not _fits(spot, output.comparison))[:_NAMED]:
        yield {
            "code": printable(spot.axis, 40), "at": spot.where,
            "text": f"{printable(spot.text, 80)} ({what})",
        }  # fmt: skip


def _code(known: OutputClass | None) -> str:
    axes = known.axes if known is not None else ()
    return axes[0] if len(axes) == 1 and axes[0] in AXES else "unstable"


def _fits(spot: Spot, found: Comparison) -> bool:
    """Whether the kind of difference speaks for a line of this kind."""
    if any("in another order" in note for note in found.notes):
        return spot.axis in _ORDER
    if any("perhaps rounding" in note for note in found.notes):
        return spot.axis in _SUMS
    return True


def _moved(old: OutputFile, new: OutputFile) -> bool:
    with contextlib.closing(old.open()) as left, contextlib.closing(new.open()) as right:
        return sorted(left.read().split(b"\n")) == sorted(right.read().split(b"\n"))
