"""What is said about each output, and about all of them (verdict.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from repro.model.outcome import Outcome
from repro.primitives.frozen import field, frozen


@frozen
class Difference:
    """One thing that differs (or was removed before comparing): where, and both sides.

    ``where`` is a place such as ``line 3``, ``cell 4 output 1``, ``$.fit.slope``.
    """

    where: str
    text: str
    old: str | None = None
    new: str | None = None


@frozen
class Numbers:
    """Summary of numeric differences over ``n`` compared numbers (all as decimal text).

    ``max_abs`` and ``max_rel`` are in the data's own unit; ``max_ulp`` counts binary64
    steps; ``first`` is the first differing place. None where it does not apply.
    """

    n: int
    differ: int
    max_abs: str | None = None
    max_rel: str | None = None
    max_ulp: int | None = None
    nan_mismatch: int = 0
    first: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The ``numbers`` object of ``repro.verify/1``."""
        return {
            "n": self.n,
            "differ": self.differ,
            "max_abs": float(self.max_abs) if self.max_abs is not None else None,
            "max_rel": float(self.max_rel) if self.max_rel is not None else None,
            "max_ulp": self.max_ulp,
            "nan_mismatch": self.nan_mismatch,
            "first": self.first,
        }


@frozen
class Comparison:
    """What a comparator found for one pair.

    ``removed`` names what was left out of the comparison because it carries no result
    (a PDF's creation date); ``notes`` are limits ("not compared: …"); ``tolerance`` is
    what was allowed, with the key ``from`` telling who allowed it.
    """

    outcome: Outcome
    comparator: str
    summary: str = ""
    differences: tuple[Difference, ...] = ()
    removed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    numbers: Numbers | None = None
    tolerance: Mapping[str, str] = field(default_factory=dict)


@frozen
class OutputVerdict:
    """The outcome of one output path. ``old``/``new`` are sha256 digests, sizes in bytes."""

    path: str
    required: bool
    comparison: Comparison
    old_digest: str | None = None
    new_digest: str | None = None
    old_size: int | None = None
    new_size: int | None = None
    copied_from: str | None = None

    @property
    def outcome(self) -> Outcome:
        """Shorthand for the comparison's outcome."""
        return self.comparison.outcome


@frozen
class Verdict:
    """All outputs, and the worst required one against the bar ``required``."""

    outputs: tuple[OutputVerdict, ...]
    required: Outcome = Outcome.CLOSE
    warnings: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of the required outputs; UNDECIDED when there are none."""
        ranked = [output.outcome for output in self.outputs if output.required]
        return max(ranked, key=lambda outcome: outcome.rank, default=Outcome.UNDECIDED)

    @property
    def reproduced(self) -> bool:
        """Whether every required output meets the bar."""
        return self.outcome.meets(self.required)
