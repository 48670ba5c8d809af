"""Numbers side by side: what is one, how far two are apart, and what that adds up to."""

from __future__ import annotations

import math
import re
import struct

from repro.compare.patterns import Pattern
from repro.compare.vectors import Settled
from repro.model.verdict import Numbers

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WHOLE = re.compile(r"[+-]?(?:0|[1-9]\d*)")
_NAMED = {
    "nan": math.nan, "inf": math.inf, "+inf": math.inf, "-inf": -math.inf,
    "infinity": math.inf, "+infinity": math.inf, "-infinity": -math.inf,
}  # fmt: skip
_LONGEST = 400
_LARGEST = 1.7e308
ROUNDING = 1e-6
"""Relative differences below this look like rounding, not like another result."""


def is_whole(text: str) -> bool:
    """Whether this is an integer as programs write one (``007`` is a name, not a number)."""
    return _WHOLE.fullmatch(text) is not None


def read_number(text: str) -> float | None:
    """The number this text is, as binary64; None when it is no number or an identifier.

    ``nan`` and ``inf`` count in the spellings of C, Python and R. Digits with leading
    zeros (``007``, ``01.5``) and non-ASCII digits are text.
    """
    text = text.strip(" ")
    if len(text) > _LONGEST or not text.isascii():
        return None
    named = _NAMED.get(text.lower())
    if named is not None:
        return named
    if NUMBER.fullmatch(text) is None or re.match(r"[+-]?0\d", text):
        return None
    return float(text)


def ulps(old: float, new: float) -> int | None:
    """Steps of binary64 between two finite numbers; None where that means nothing."""
    if not (math.isfinite(old) and math.isfinite(new)):
        return None
    return abs(_position(old) - _position(new))


def _position(value: float) -> int:
    bits: int = struct.unpack("<q", struct.pack("<d", value))[0]
    return bits if bits >= 0 else -(bits & 0x7FFF_FFFF_FFFF_FFFF)


class Tally:
    """Counts compared numbers and keeps the largest deviations.

    Two numbers are close when ``|a - b| <= atol + rtol * max(|a|, |b|)``: the larger one
    decides, so that the order of the sides does not matter. NaN equals NaN, infinities
    must be the same, and 0.0 equals -0.0 (``signed_zero`` then tells so).
    """

    def __init__(self, rtol: float, atol: float) -> None:
        self.rtol = rtol
        self.atol = atol
        self.n = 0
        self.differ = 0
        self.beyond = 0
        self.nan_mismatch = 0
        self.signed_zero = False
        self._max_abs = 0.0
        self._max_rel = 0.0
        self._max_ulp = 0
        self._first: str | None = None
        self._pattern = Pattern()

    @property
    def located(self) -> bool:
        """Whether the place of a first difference is known: later ones need no place."""
        return self._first is not None

    def add(self, where: str, old: float, new: float, *, steps: bool = True) -> bool:
        """Take one pair; whether it is equal or within the tolerance.

        ``steps`` is false for numbers that are not binary64 at home (float32).
        """
        self.n += 1
        if old == new:
            if old == 0 and math.copysign(1, old) != math.copysign(1, new):
                self.signed_zero = True
            return True
        if old != old and new != new:
            return True
        return self._unequal(where, old, new, steps)

    def equal(self, count: int) -> None:
        """Take ``count`` numbers known to be the same on both sides."""
        self.n += count

    def take(self, part: Settled) -> None:
        """Take a block that was settled at once; what it left is not in it."""
        self.n += part.same + part.near
        self.differ += part.near
        self.signed_zero = self.signed_zero or part.signed_zero
        self._first = self._first or (part.where or None)
        self._max_abs = max(self._max_abs, min(part.max_abs, _LARGEST))
        self._max_rel = max(self._max_rel, part.max_rel)
        self._max_ulp = max(self._max_ulp, part.max_ulp)

    def whole(self, where: str, old: int, new: int) -> bool:
        """Take one pair of integers, which no tolerance covers; whether they are the same."""
        self.n += 1
        if old == new:
            return True
        gap, largest = abs(old - new), max(abs(old), abs(new))
        self._note(where, float(min(gap, 10**300)), min(2.0, gap / largest))
        self.beyond += 1
        self._pattern.take(*(float(max(-(10**300), min(value, 10**300))) for value in (old, new)))
        return False

    def _unequal(self, where: str, old: float, new: float, steps: bool) -> bool:
        if not (math.isfinite(old) and math.isfinite(new)):
            self.differ += 1
            self.beyond += 1
            self.nan_mismatch += (old != old) != (new != new)
            self._first = self._first or where
            self._pattern.take(old, new)
            return False
        gap = abs(old - new)
        largest = max(abs(old), abs(new))
        # Halves, as the gap of two huge numbers of opposite sign overflows.
        relative = abs(old / 2 - new / 2) / (largest / 2) if largest / 2 else 1.0
        self._note(where, gap, relative)
        if steps:
            self._max_ulp = max(self._max_ulp, ulps(old, new) or 0)
        within = gap <= self.atol + self.rtol * largest and math.isfinite(gap)
        if not within:
            self.beyond += 1
            self._pattern.take(old, new)
        return within

    def _note(self, where: str, gap: float, relative: float) -> None:
        self.differ += 1
        self._first = self._first or where
        self._max_abs = max(self._max_abs, min(gap, _LARGEST))
        self._max_rel = max(self._max_rel, relative)

    def guesses(self) -> tuple[str, ...]:
        """What the numbers beyond the tolerance suggest; nothing where all are nearly equal."""
        if 0 < self._max_rel < ROUNDING and self._pattern.ordinary:
            return ()
        return tuple(self._pattern.notes(self.n))

    def absorb(self, other: Numbers, where: str) -> None:
        """Add the summary of a part (an array of an npz, a cell of a notebook)."""
        self.n += other.n
        self.differ += other.differ
        self.nan_mismatch += other.nan_mismatch
        self._max_abs = max(self._max_abs, float(other.max_abs or 0))
        self._max_rel = max(self._max_rel, float(other.max_rel or 0))
        self._max_ulp = max(self._max_ulp, other.max_ulp or 0)
        if other.first is not None and self._first is None:
            self._first = f"{where}, {other.first}"

    def summary(self) -> Numbers | None:
        """What was seen; None when there was no number."""
        if self.n == 0:
            return None
        finite = self.differ > self.nan_mismatch and self._max_abs > 0
        return Numbers(
            n=self.n,
            differ=self.differ,
            max_abs=format(self._max_abs, ".3g") if finite else None,
            max_rel=format(self._max_rel, ".3g") if finite else None,
            max_ulp=self._max_ulp if self._max_ulp else None,
            nan_mismatch=self.nan_mismatch,
            first=self._first,
        )
