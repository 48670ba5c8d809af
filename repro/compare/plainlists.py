"""Long lists of numbers as one array, so that each number need not be a value of its own."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from repro.compare.arrays import Array


def as_array(items: Sequence[object]) -> Array | None:
    """The items as 64-bit floats or integers; None when they are not all of one such kind."""
    if not items:
        return None
    if all(type(item) is float for item in items):
        form = "d"
    elif all(type(item) is int and -(1 << 63) <= item < 1 << 63 for item in items):
        form = "q"
    else:
        return None
    data = struct.pack(f"<{len(items)}{form}", *items)
    return Array(type="<f8" if form == "d" else "<i8", shape=(len(items),), data=data)
