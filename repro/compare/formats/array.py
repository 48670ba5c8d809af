"""NumPy's npy without NumPy: the header read by pattern, numbers under the tolerance."""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass

from repro.compare.base import Comparator, Malformed, Task, parse_both
from repro.compare.findings import Findings
from repro.model.verdict import Comparison

_MAGIC = b"\x93NUMPY"
# The header is a Python literal; only this form of it is read, nothing is evaluated.
_HEADER = re.compile(
    r"\{'descr': (?:'(?P<type>[<>|=][a-zA-Z]\d*(?:\[[\w/]+\])?)'|(?P<fields>\[.*\])),"
    r" 'fortran_order': (?P<fortran>True|False),"
    r" 'shape': \((?P<shape>(?:\d+,? ?)*)\),? ?\}\s*",
    re.S,
)
_CODES = {
    "f2": "e", "f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q",
    "u1": "B", "u2": "H", "u4": "I", "u8": "Q", "b1": "?", "c8": "f", "c16": "d",
}  # fmt: skip
_BLOCK = 1 << 13


@dataclass(frozen=True)
class Header:
    """An npy header: type such as ``<f8``, shape, order, and where the data begin."""

    type: str
    shape: tuple[int, ...]
    fortran: bool
    start: int

    @property
    def count(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)


class ArrayComparator(Comparator):
    """npy arrays of plain numbers; anything else by bytes. Objects are never unpickled."""

    name = "npy/1"
    rank = 41
    suffixes = (".npy",)
    magic = (_MAGIC,)
    kinds = ("array",)

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        one, two = parse_both(_header, old, new)
        findings = self._findings(task)
        summary = f"{' x '.join(map(str, one.shape)) or 'one'} {one.type}"
        for what in ("type", "shape", "fortran"):
            left, right = getattr(one, what), getattr(two, what)
            if left != right:
                name = "order of storage" if what == "fortran" else what
                findings.differ("the array", f"another {name}", str(left), str(right))
        if findings.count:
            return findings.result(summary)
        left, right = old[one.start :], new[two.start :]
        if left == right:
            findings.drop("the layout of the header")
        elif one.type.lstrip("<>|=")[:1] == "O":
            findings.undecided("an array of Python objects is a pickle, which is never loaded")
        elif one.type.lstrip("<>|=") in _CODES:
            _numbers(one, left, right, findings)
        else:
            findings.differ("the array", f"its bytes differ (type {one.type[:60]})")
        return findings.result(summary)


def _header(data: bytes) -> Header:
    """Read and check the header; the data must be as long as it says."""
    major = data[6] if len(data) > 12 else 0
    if not data.startswith(_MAGIC) or major not in (1, 2, 3):
        raise Malformed("it is no npy file")
    size, start = (2, 10) if major == 1 else (4, 12)
    length = int.from_bytes(data[8 : 8 + size], "little")
    text = data[start : start + length].decode("latin-1" if major < 3 else "utf-8", "replace")
    match = _HEADER.fullmatch(text) if len(text) == length else None
    if match is None:
        raise Malformed("its header is not understood")
    shape = tuple(int(part) for part in match["shape"].replace(" ", "").split(",") if part)
    header = Header(
        type=match["type"] or match["fields"],
        shape=shape,
        fortran=match["fortran"] == "True",
        start=start + length,
    )
    plain = header.type.lstrip("<>|=")
    if plain in _CODES and header.count * int(plain[1:]) != len(data) - header.start:
        raise Malformed("its data have another length than its header says")
    return header


def _numbers(header: Header, left: bytes, right: bytes, findings: Findings) -> None:
    plain = header.type.lstrip("<>|=")
    pair = plain[0] == "c"
    code = _CODES[plain]
    order = ">" if header.type[0] == ">" else "<"
    width = struct.calcsize(f"<{code}")
    total = len(left) // width
    for start in range(0, total, _BLOCK):
        stop = min(start + _BLOCK, total)
        one, two = left[start * width : stop * width], right[start * width : stop * width]
        if one == two:
            findings.tally.equal(stop - start)
            continue
        values = struct.unpack(f"{order}{stop - start}{code}", one)
        others = struct.unpack(f"{order}{stop - start}{code}", two)
        for offset, (old, new) in enumerate(zip(values, others, strict=True)):
            place = start + offset
            _element(place // 2 if pair else place, old, new, header, findings)
    if plain in ("f2", "f4", "c8") and findings.tally.differ:
        findings.note("steps (ulp) are not counted for numbers narrower than 64 bits")


def _element(
    place: int, old: float | int | bool, new: float | int | bool, header: Header, findings: Findings
) -> None:
    if isinstance(old, float) and isinstance(new, float):
        if old == new or (old != old and new != new):
            findings.tally.add("", old, new)
        else:
            steps = header.type.endswith(("f8", "c16"))
            findings.number(_index(place, header), old, new, (repr(old), repr(new)), steps=steps)
    elif old == new:
        findings.tally.equal(1)
    elif not findings.tally.whole(_index(place, header), int(old), int(new)):
        findings.differ(_index(place, header), "an integer differs", str(old), str(new))


def _index(place: int, header: Header) -> str:
    indices = []
    shape = header.shape if header.fortran else header.shape[::-1]
    for size in shape:
        indices.append(place % size if size else 0)
        place //= size or 1
    ordered = indices if header.fortran else indices[::-1]
    return "[" + ", ".join(map(str, ordered)) + "]"
