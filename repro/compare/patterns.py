"""What the numbers beyond a tolerance have in common: a sign, a factor, a shift, chance."""

from __future__ import annotations

import math
from collections.abc import Iterator

_ALIKE = 1e-6
_ENOUGH = 3
_FEW = 0.05
_MOST = 0.1
_LOOKED_AT = 1000


class Pattern:
    """Watches pairs of numbers that no tolerance covers, and words what they suggest.

    Each remark is a guess and says so; what is not alike for all pairs is not said.
    """

    def __init__(self) -> None:
        self.count = 0
        self._nan = self._infinite = 0
        self._flipped = self._fractions = 0
        self._ratio: float | None = None
        self._same_ratio = True
        self._gap: float | None = None
        self._same_gap = True
        self._values: set[tuple[float, float]] = set()
        self._shorter = True

    @property
    def ordinary(self) -> bool:
        """Whether only finite numbers were seen, and not only whole ones."""
        return not (self._nan or self._infinite) and self._fractions > 0

    def take(self, old: float, new: float) -> None:
        """One pair beyond the tolerance, NaN or infinite perhaps."""
        self.count += 1
        if not (math.isfinite(old) and math.isfinite(new)):
            self._nan += (old != old) != (new != new)
            self._infinite += old == old and new == new
            self._same_ratio = self._same_gap = self._shorter = False
            return
        self._fractions += not (old.is_integer() and new.is_integer())
        self._flipped += math.isclose(old, -new, rel_tol=_ALIKE) and old != 0
        if len(self._values) < _ENOUGH:
            self._values.add((old, new))
        self._same_ratio = self._same_ratio and self._scaled(old, new)
        self._same_gap = self._same_gap and self._shifted(old, new)
        if self._shorter and self.count < _LOOKED_AT:
            self._shorter = _rounded(old, new) or _rounded(new, old)

    def _scaled(self, old: float, new: float) -> bool:
        if old == 0 or new == 0:
            return False
        # Halves of exponents, as a quotient of two finite numbers may overflow.
        ratio = math.copysign(1, old) * math.copysign(1, new)
        ratio *= math.exp(min(700.0, max(-700.0, math.log(abs(new)) - math.log(abs(old)))))
        if self._ratio is None:
            self._ratio = ratio
        return math.isclose(ratio, self._ratio, rel_tol=_ALIKE)

    def _shifted(self, old: float, new: float) -> bool:
        gap = new - old
        if self._gap is None:
            self._gap = gap
        # The gap of two large numbers has only the digits that they leave it.
        return math.isclose(gap, self._gap, rel_tol=_ALIKE, abs_tol=1e-15 * abs(old))

    def notes(self, total: int) -> Iterator[str]:
        """Guesses about the pairs seen, of ``total`` numbers compared."""
        if self.count == 0:
            return
        if self._nan:
            yield (
                f"{self._nan} times NaN stands beside a number: perhaps a missing value is treated "
                "in another way"
            )
        if self._infinite:
            yield f"{self._infinite} times an infinity stands beside another number: perhaps an overflow"
        if self._nan + self._infinite < self.count:
            yield self._finite(total)

    def _finite(self, total: int) -> str:
        several = len(self._values) >= _ENOUGH
        if self._flipped == self.count:
            return "what differs has the same size and the other sign: perhaps another convention"
        if self._same_ratio and self._ratio and (several or _is_power(self._ratio)):
            return f"what differs does so by the factor {self._ratio:.6g}: perhaps another unit"
        if self._same_gap and self._gap and several:
            return f"what differs is shifted by {self._gap:.6g}: perhaps another zero or unit"
        if self._shorter and several:
            return "one side holds the numbers of the other, perhaps rounded to fewer digits"
        if self.count <= max(_ENOUGH, _FEW * total):
            return f"{self.count} of {total} numbers differ: perhaps single values were changed"
        if self.count >= _MOST * total and 2 * self._fractions > self.count:
            return (
                f"{self.count} of {total} numbers differ, in no common way: perhaps random numbers "
                "without a seed, other input or another version of a library"
            )
        return f"{self.count} of {total} numbers differ, in no common way"


def _is_power(ratio: float) -> bool:
    """Whether one pair alone suggests a unit: a power of ten from 100 on."""
    exponent = math.log10(abs(ratio))
    return abs(exponent) > 1.5 and math.isclose(exponent, round(exponent), abs_tol=1e-7)


def _rounded(long: float, short: float) -> bool:
    """Whether ``short`` is the other number written with fewer digits."""
    digits = len(repr(short).partition("e")[0].replace("-", "").replace(".", "").strip("0"))
    return 0 < digits < 15 and long != short and float(f"{long:.{digits}g}") == short
