"""The ladder of outcomes (verdict.md)."""

from __future__ import annotations

from enum import Enum


class Outcome(Enum):
    """How one recorded output compares with the rerun's, best first."""

    IDENTICAL = "identical"
    EQUIVALENT = "equivalent"
    CLOSE = "close"
    UNEXPECTED = "unexpected"
    UNDECIDED = "undecided"
    DIFFERENT = "different"
    MISSING = "missing"

    @property
    def rank(self) -> int:
        """0 is best. Anything above CLOSE is never success."""
        return list(Outcome).index(self)

    def meets(self, required: Outcome) -> bool:
        """Whether this outcome satisfies the bar (identical, equivalent or close)."""
        return self.rank <= Outcome.CLOSE.rank and self.rank <= required.rank
