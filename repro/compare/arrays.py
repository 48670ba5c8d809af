"""Arrays of plain numbers as bytes with a type and a shape, compared element by element."""

from __future__ import annotations

import math
import struct

from repro.compare.findings import MAX_DIFFERENCES, Findings
from repro.compare.vectors import MANY, available, settle
from repro.primitives.frozen import frozen

CODES = {
    "f2": "e", "f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q",
    "u1": "B", "u2": "H", "u4": "I", "u8": "Q", "b1": "?", "c8": "f", "c16": "d",
}  # fmt: skip
_BLOCK = 1 << 13
_MAX_SORTED = 1 << 20
_R_NA = 1954


@frozen
class Array:
    """Numbers as they lie in a file.

    ``type`` is NumPy's short form with the byte order first (``<f8``, ``>i4``, ``|u1``);
    one that is not in ``CODES`` is compared by its bytes. ``fortran`` tells that the first
    index runs fastest; ``missing`` that R's NA is told from NaN by its payload.
    ``origin`` is the index of the first element where this is a part of a larger array.
    """

    type: str
    shape: tuple[int, ...]
    data: bytes
    fortran: bool = False
    missing: bool = False
    origin: tuple[int, ...] = ()

    @property
    def plain(self) -> str:
        """The type without its byte order."""
        return self.type.lstrip("<>|=")

    @property
    def size(self) -> int:
        """The bytes that type and shape ask for; -1 where the type is not known."""
        return math.prod(self.shape) * int(self.plain[1:]) if self.plain in CODES else -1

    def __str__(self) -> str:
        return f"{' x '.join(map(str, self.shape)) or 'one'} {self.type}"


def compare_arrays(
    old: Array, new: Array, findings: Findings, where: str = "the array", place: str = ""
) -> None:
    """Compare type, shape and elements; integers are exact, floats have the tolerance.

    The order of storage and of bytes counts as part of the type. An element's place is
    ``place`` and its index (``[0, 3]``).
    """
    for what in ("type", "shape", "fortran"):
        left, right = getattr(old, what), getattr(new, what)
        if left != right:
            name = "order of storage" if what == "fortran" else what
            findings.differ(where, f"another {name}", str(left), str(right))
            return
    if old.data == new.data:
        if old.plain in CODES:
            findings.tally.equal(math.prod(old.shape))
    elif old.plain in CODES:
        before = findings.count
        _numbers(old, new, findings, place)
        if findings.count > before + 1 and _moved(old, new):
            findings.explain(
                f"{where} holds the same values in another order: perhaps unordered", once=True
            )
        if not findings.tally.signed_zero:
            findings.otherwise("bits that carry no number (the payload of NaN)")
    else:
        findings.differ(where, f"its bytes differ (type {old.type[:60]})")


def _moved(old: Array, new: Array) -> bool:
    width = int(old.plain[1:])
    if len(old.data) > _MAX_SORTED * width:
        return False
    sides = [
        sorted(data[start : start + width] for start in range(0, len(data), width))
        for data in (old.data, new.data)
    ]
    return sides[0] == sides[1]


def _numbers(old: Array, new: Array, findings: Findings, place: str) -> None:
    elements = Elements(old, new, findings, place)
    step = elements.step
    for start in range(0, len(old.data), step):
        elements.take(old.data[start : start + step], new.data[start : start + step])
    elements.end()


class Elements:
    """The elements of two arrays of one type and shape, block by block of ``step`` bytes."""

    def __init__(self, old: Array, new: Array, findings: Findings, place: str = "") -> None:
        self._code = CODES[old.plain]
        self._order = ">" if old.type[0] == ">" else "<"
        self._width = struct.calcsize(f"<{self._code}")
        self._element = _Element(array=old, other=new, place=place)
        self._findings = findings
        self._steps = old.plain in ("f8", "c16")
        self._narrow = old.plain in ("f2", "f4", "c8")
        self._number = self._same = 0
        total = math.prod(old.shape)
        self._many = total >= MANY and not old.missing and available()
        self.step = self._width * (1 << 18 if self._many else _BLOCK)

    def take(self, one: bytes, two: bytes) -> None:
        """The next block of both sides, of the same length."""
        start, count = self._number, len(one) // self._width
        self._number += count
        if one == two:
            self._findings.tally.equal(count)
        elif self._many:
            self._quickly(start, one, two)
        else:
            form = f"{self._order}{count}{self._code}"
            pairs = zip(struct.unpack(form, one), struct.unpack(form, two), strict=True)
            for number, (left, right) in enumerate(pairs, start):
                self._pair(number, left, right)

    def _quickly(self, start: int, one: bytes, two: bytes) -> None:
        tally = self._findings.tally
        settled = settle(one, two, self._order + self._code, tally.rtol, tally.atol, self._steps)
        if settled.first is not None and not tally.located:
            first = min([settled.first, *(index for index, _, _ in settled.left[:1])])
            settled = settled.at(self._element.where(start + first))
        tally.take(settled)
        for index, left, right in settled.left:
            self._pair(start + index, left, right)

    def _pair(self, number: int, left: float | int | bool, right: float | int | bool) -> None:
        findings, element = self._findings, self._element
        if left == right and left:
            self._same += 1
        elif isinstance(left, float) and left == left and right == right and left != right:
            # The common case of noise; a place costs more than the comparison.
            where = "" if findings.tally.located else element.where(number)
            if not findings.tally.add(where, left, right, steps=self._steps):
                element.beyond(number, left, right, findings)
        else:
            element.compare(number, left, right, findings)

    def end(self) -> None:
        """All blocks are taken."""
        self._findings.tally.equal(self._same)
        if self._narrow and self._findings.tally.differ:
            self._findings.note("steps (ulp) are not counted for numbers narrower than 64 bits")


@frozen
class _Element:
    """One pair of elements by its number in the order of storage."""

    array: Array
    other: Array
    place: str

    def compare(
        self, number: int, old: float | int | bool, new: float | int | bool, findings: Findings
    ) -> None:
        if old == new and not isinstance(old, float):
            findings.tally.equal(1)
        elif not (isinstance(old, float) and isinstance(new, float)):
            if not findings.tally.whole(self.where(number), int(old), int(new)):
                findings.differ(self.where(number), "an integer differs", str(old), str(new))
        elif old != old and new != new:
            findings.tally.equal(1)
            if self.array.missing and self._is_na(self.array, number) != self._is_na(
                self.other, number
            ):
                findings.differ(self.where(number), "NA is not NaN")
        elif not findings.tally.add(self.where(number), old, new):
            self.beyond(number, old, new, findings)

    def beyond(self, number: int, old: float, new: float, findings: Findings) -> None:
        where = self.where(number) if findings.count < MAX_DIFFERENCES else self.place
        findings.differ(where, "number differs", repr(old), repr(new))

    def _is_na(self, array: Array, number: int) -> bool:
        # R-ints.html, "NA": a NaN whose lower word is 1954.
        word = array.data[8 * number : 8 * number + 8]
        value = int.from_bytes(word, "big" if array.type[0] == ">" else "little")
        return value & 0xFFFFFFFF == _R_NA

    def where(self, number: int) -> str:
        count = number // 2 if self.array.plain[0] == "c" else number
        return f"{self.place}{_index(count, self.array)}"


def _index(number: int, array: Array) -> str:
    indices = []
    for size in array.shape if array.fortran else array.shape[::-1]:
        indices.append(number % size if size else 0)
        number //= size or 1
    ordered = indices if array.fortran else indices[::-1]
    if array.origin:
        ordered = [index + first for index, first in zip(ordered, array.origin, strict=True)]
    return "[" + ", ".join(map(str, ordered)) + "]"
