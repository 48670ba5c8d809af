"""Where two files part, whatever their size."""

from __future__ import annotations

import contextlib

from repro.model.ports import OutputFile

_BLOCK = 1 << 20


def parting(old: OutputFile, new: OutputFile) -> int:
    """How many bytes two files share at their beginning. Raises OSError."""
    with contextlib.closing(old.open()) as left, contextlib.closing(new.open()) as right:
        position = 0
        while True:
            one, two = left.read(_BLOCK), right.read(_BLOCK)
            if one != two or not one:
                return position + first_difference(one, two)
            position += len(one)


def first_difference(old: bytes, new: bytes) -> int:
    """How many bytes two strings of bytes share at their beginning."""
    low, high = 0, min(len(old), len(new))
    if old[:high] == new[:high]:
        return high
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if old[low:middle] == new[low:middle] else (low, middle - 1)
    return low
