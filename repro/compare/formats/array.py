"""NumPy's npy without NumPy: the header read by pattern, numbers under the tolerance."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from typing import BinaryIO

from repro.compare.arrays import CODES, Array, Elements, compare_arrays
from repro.compare.base import (
    MAX_BYTES,
    UNBOUNDED,
    Comparator,
    Damaged,
    Malformed,
    Task,
    parse_both,
)
from repro.compare.findings import Findings
from repro.model.ports import OutputFile
from repro.model.verdict import Comparison

_LONGEST_HEADER = 1 << 17
_MAX_DIFFERENCES = 1_000_000
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

    max_bytes = UNBOUNDED

    def _compare_files(self, old: OutputFile, new: OutputFile, task: Task) -> Comparison:
        if max(old.size, new.size) <= MAX_BYTES:
            return super()._compare_files(old, new, task)
        return _large(old, new, self._findings(task))

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


def _large(old: OutputFile, new: OutputFile, findings: Findings) -> Comparison:
    """Two arrays of which at least one is too large to hold: block by block."""
    with contextlib.closing(old.open()) as left, contextlib.closing(new.open()) as right:
        firsts = [(stream, side.size) for stream, side in ((left, old), (right, new))]
        sides: list[Array] = []
        for name, (stream, size) in zip(("recorded", "rerun's"), firsts, strict=True):
            try:
                sides.append(_header(stream, size))
            except Malformed as error:
                raise Damaged(f"the {name} file is malformed: {error}") from None
        one, two = sides
        before = findings.count
        if one.plain not in CODES or (one.type, one.shape) != (two.type, two.shape):
            compare_arrays(one, two, findings)
            if findings.count == before:
                findings.undecided(f"more than {MAX_BYTES >> 20} MiB of type {one.type[:60]}")
        elif one.fortran != two.fortran:
            compare_arrays(one, two, findings)
        else:
            elements = Elements(one, two, findings)
            while block := left.read(elements.step):
                elements.take(block, right.read(elements.step))
                if findings.count > _MAX_DIFFERENCES:
                    findings.note("what comes after a million differences was not looked at")
                    break
            elements.end()
            findings.otherwise("bits that carry no number (the payload of NaN), or the header")
    return findings.result(str(one))


def _header(stream: BinaryIO, size: int) -> Array:
    """The array without its data; the stream then stands at their beginning."""
    head = stream.read(_LONGEST_HEADER)
    array, start = _parse(head)
    if array.size not in (-1, size - start):
        raise Malformed("its data have another length than its header says")
    stream.seek(start)
    return array


def parse_npy(data: bytes) -> Array:
    """The array of an npy file (NEP 1). Raises Malformed; the data must be as long as it says."""
    array, start = _parse(data)
    array = dataclasses.replace(array, data=data[start:])
    if array.size not in (-1, len(array.data)):
        raise Malformed("its data have another length than its header says")
    return array


def _parse(data: bytes) -> tuple[Array, int]:
    """The array without its data, and where they begin."""
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
        data=b"",
    )
    return array, start + length
