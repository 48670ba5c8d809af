"""Many rows of delimited text at once, where all that differs is noise in the last digits."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

from repro.compare.numbers import Tally
from repro.compare.vectors import Settled

# What is surely a float and no identifier: no spaces, no zeros in front.
FLOAT = re.compile(r"-?(?:[1-9]\d{0,30}|0)\.\d{1,40}(?:[eE][+-]?\d{1,3})?")
_LARGEST = 1e300


def settle_rows(
    old: Sequence[bytes], new: Sequence[bytes], delimiter: str, tally: Tally
) -> Settled | None:
    """What rows of both sides amount to, when every cell that differs is a float that is close.

    None when anything else is among them (quotes, other shapes, texts, larger gaps): then they
    have to be looked at one by one.
    """
    one, two = b"".join(old), b"".join(new)
    if one.endswith(b"\n") != two.endswith(b"\n"):
        return None
    if b'"' in one or b'"' in two or not (one.isascii() and two.isascii()):
        return None
    if b"\r" in one or b"\r" in two or b"\0" in one or b"\0" in two:
        return None
    mark = delimiter.encode()
    if [line.count(mark) for line in old] != [line.count(mark) for line in new]:
        return None
    cells = [text.decode().replace("\n", delimiter).split(delimiter) for text in (one, two)]
    pairs = [(a, b) for a, b in zip(*cells, strict=True) if a != b]
    if not all(FLOAT.fullmatch(a) and FLOAT.fullmatch(b) for a, b in pairs):
        return None
    return _near([(float(a), float(b)) for a, b in pairs], tally)


def _near(pairs: list[tuple[float, float]], tally: Tally) -> Settled | None:
    rtol, atol = tally.rtol, tally.atol
    largest = [max(abs(a), abs(b)) for a, b in pairs]
    gaps = [abs(a - b) for a, b in pairs]
    if not all(gap <= atol + rtol * size for gap, size in zip(gaps, largest, strict=True)):
        return None
    if not all(gaps) or max(largest, default=0.0) > _LARGEST:
        # The same number in two spellings, which is named.
        return None
    relative = max((gap / size for gap, size in zip(gaps, largest, strict=True)), default=0.0)
    return Settled(
        same=0, near=len(pairs), max_abs=max(gaps, default=0.0), max_rel=relative,
        max_ulp=_ulps(pairs), signed_zero=False, left=(),
    )  # fmt: skip


def _ulps(pairs: list[tuple[float, float]]) -> int:
    """The most steps of binary64 between the numbers of a pair."""
    sides = []
    for side in (0, 1):
        form = f"{len(pairs)}"
        bits = struct.unpack(f"<{form}q", struct.pack(f"<{form}d", *(pair[side] for pair in pairs)))
        sides.append([b if b >= 0 else -(b & 0x7FFF_FFFF_FFFF_FFFF) for b in bits])
    return max((abs(a - b) for a, b in zip(*sides, strict=True)), default=0)
