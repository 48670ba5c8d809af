"""NumPy's npy without NumPy: the header read by pattern, numbers under the tolerance."""

from __future__ import annotations

import re

from repro.compare.arrays import Array, compare_arrays
from repro.compare.base import Comparator, Malformed, Task, parse_both
from repro.model.verdict import Comparison

_MAGIC = b"\x93NUMPY"
# The header is a Python literal; only this form of it is read, nothing is evaluated.
_HEADER = re.compile(
    r"\{'descr': (?:'(?P<type>[<>|=][a-zA-Z]\d*(?:\[[\w/]+\])?)'|(?P<fields>\[.*\])),"
    r" 'fortran_order': (?P<fortran>True|False),"
    r" 'shape': \((?P<shape>(?:\d+,? ?)*)\),? ?\}\s*",
    re.S,
)


class ArrayComparator(Comparator):
    """npy arrays of plain numbers; anything else by bytes. Objects are never unpickled."""

    name = "npy/1"
    rank = 41
    suffixes = (".npy",)
    magic = (_MAGIC,)
    kinds = ("array",)

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        one, two = parse_both(parse_npy, old, new)
        findings = self._findings(task)
        if one == two:
            findings.drop("the layout of the header")
        elif one.plain[:1] == "O" and one.type == two.type and one.shape == two.shape:
            findings.undecided("an array of Python objects is a pickle, which is never loaded")
        else:
            compare_arrays(one, two, findings)
        return findings.result(str(one))


def parse_npy(data: bytes) -> Array:
    """The array of an npy file (NEP 1). Raises Malformed; the data must be as long as it says."""
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
    array = Array(
        type=match["type"] or match["fields"],
        shape=shape,
        fortran=match["fortran"] == "True",
        data=data[start + length :],
    )
    if array.size not in (-1, len(array.data)):
        raise Malformed("its data have another length than its header says")
    return array
