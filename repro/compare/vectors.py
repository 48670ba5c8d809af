"""Large blocks of numbers by NumPy, where it is installed: the same verdict, only sooner.

NumPy reads plain numbers from memory here and parses nothing of a stranger's file.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
from typing import Any

from repro.primitives.frozen import frozen

MANY = 1 << 18
"""Below so many elements NumPy would not be worth its start."""


@frozen
class Settled:
    """What a block amounts to: counts, the largest deviations, and pairs that are left.

    ``same`` are equal, ``near`` differ within the tolerance; ``left`` (index, old, new) need a
    closer look. ``first`` is the index of the first that is near, ``where`` its place.
    """

    same: int
    near: int
    max_abs: float
    max_rel: float
    max_ulp: int
    signed_zero: bool
    left: tuple[tuple[int, Any, Any], ...]
    first: int | None = None
    where: str = ""

    def at(self, where: str) -> Settled:
        """The same, with the place of its first difference."""
        return dataclasses.replace(self, where=where)


@functools.cache
def available() -> bool:
    """Whether NumPy can be used."""
    try:
        importlib.import_module("numpy")
    except ImportError:
        return False
    return True


def settle(old: bytes, new: bytes, form: str, rtol: float, atol: float, steps: bool) -> Settled:
    """Compare two blocks of one length; ``form`` is the order of bytes and the letter of struct.

    The rules are those of ``numbers.Tally``; ``steps`` tells whether ulps are counted.
    """
    numpy = importlib.import_module("numpy")
    one, two = (numpy.frombuffer(data, dtype=_dtype(form)) for data in (old, new))
    equal = one == two
    if one.dtype.kind != "f":
        return _settled(numpy, one, two, equal, equal & False)
    with numpy.errstate(all="ignore"):
        wide = one.astype("f8"), two.astype("f8")
    zero = equal & (wide[0] == 0) & (numpy.signbit(wide[0]) != numpy.signbit(wide[1]))
    equal |= numpy.isnan(wide[0]) & numpy.isnan(wide[1])
    chosen = numpy.flatnonzero(~equal)
    a, b = wide[0][chosen], wide[1][chosen]
    with numpy.errstate(all="ignore"):
        gap, largest = numpy.abs(a - b), numpy.maximum(numpy.abs(a), numpy.abs(b))
        relative = numpy.where(largest / 2 > 0, numpy.abs(a / 2 - b / 2) / (largest / 2), 1.0)
        close = numpy.isfinite(gap) & (gap <= atol + rtol * largest)
    near = numpy.zeros(len(one), dtype=bool)
    near[chosen[close]] = True
    found = _settled(numpy, one, two, equal, near)
    found = dataclasses.replace(found, signed_zero=bool(zero.any()))
    if not close.any():
        return found
    return dataclasses.replace(
        found,
        max_abs=float(gap[close].max()),
        max_rel=float(relative[close].max()),
        max_ulp=_ulps(numpy, a[close], b[close]) if steps else 0,
        first=int(chosen[close][0]),
    )


def _dtype(form: str) -> str:
    kinds = {"e": "f2", "f": "f4", "d": "f8", "b": "i1", "h": "i2", "i": "i4", "q": "i8",
             "B": "u1", "H": "u2", "I": "u4", "Q": "u8", "?": "?"}  # fmt: skip
    return form[0] + kinds[form[1]]


def _settled(numpy: Any, one: Any, two: Any, equal: Any, near: Any) -> Settled:
    rest = numpy.flatnonzero(~(equal | near))
    left = zip(rest.tolist(), one[rest].tolist(), two[rest].tolist(), strict=True)
    return Settled(
        same=int(equal.sum()), near=int(near.sum()), max_abs=0.0, max_rel=0.0, max_ulp=0,
        signed_zero=False, left=tuple(left),
    )  # fmt: skip


def _ulps(numpy: Any, one: Any, two: Any) -> int:
    """The most steps of binary64 between two numbers of a pair."""
    places = []
    for side in (one, two):
        bits = side.view("i8")
        places.append(numpy.where(bits >= 0, bits, -(bits & 0x7FFF_FFFF_FFFF_FFFF)))
    high, low = numpy.maximum(*places), numpy.minimum(*places)
    # The gap of two signed numbers fits into an unsigned one.
    return int((high.view("u8") - low.view("u8")).max())
