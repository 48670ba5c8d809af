"""MATLAB's MAT-files of level 4, as Octave and scipy still write them ("MAT-File Format", annex)."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

from repro.compare.arrays import Array
from repro.compare.base import Beyond, Malformed
from repro.compare.contents import MAX_LEAVES, Content, Leaf, Texts, Tree

_TYPES = ("f8", "f4", "i4", "i2", "u2", "u1")
_FULL, _TEXT, _SPARSE = 0, 1, 2
_HEADER = 20
_LONGEST_NAME = 256


def read_mat4(data: bytes) -> Content:
    """Every matrix by its name. Raises Malformed and Beyond.

    The format has no magic: a number that says how each matrix is stored comes first, and
    everything in it must be of the few values that it can have.
    """
    found: dict[str, Leaf] = {}
    position = 0
    while position < len(data):
        name, leaves, position = _matrix(data, position)
        for place, leaf in leaves:
            if place in found or len(found) >= MAX_LEAVES:
                raise Beyond(f"more than {MAX_LEAVES} values, or two named {name}")
            found[place] = leaf
    if not found:
        raise Malformed("it holds no variable")
    return found


def _matrix(data: bytes, position: int) -> tuple[str, list[tuple[str, Leaf]], int]:
    order, kind, (rows, columns, imaginary, length) = _header(data, position)
    start = position + _HEADER
    name = data[start : start + length].split(b"\0")[0].decode("latin-1")
    stored = _TYPES[kind // 10 % 10]
    size = rows * columns * int(stored[1])
    begins = [start + length + part * size for part in range(2 if imaginary else 1)]
    if not name or begins[-1] + size > len(data):
        raise Malformed("it ends inside a variable")
    parts = [
        Array(
            type=f"{order}{stored}",
            shape=(rows, columns),
            data=data[begin : begin + size],
            fortran=True,
        )
        for begin in begins
    ]
    return name, list(_leaves(name, kind % 10, parts)), begins[-1] + size


def _header(data: bytes, position: int) -> tuple[str, int, tuple[int, int, int, int]]:
    """The order of bytes, how it is stored, and rows, columns, imaginary part, name's length."""
    if position + _HEADER > len(data):
        raise Malformed("it ends inside a header")
    for number, order in enumerate("<>"):
        kind, *sizes = struct.unpack_from(f"{order}5i", data, position)
        rows, columns, imaginary, length = sizes
        machine, zero, stored, shape = (kind // 10**n % 10 for n in (3, 2, 1, 0))
        if (
            0 <= kind < 2000
            and (machine, zero) == (number, 0)
            and stored < len(_TYPES)
            and shape <= _SPARSE
            and min(rows, columns) >= 0
            and imaginary in (0, 1)
            and 0 < length <= _LONGEST_NAME
        ):
            return order, kind, (rows, columns, imaginary, length)
    raise Malformed("it is no MAT-file: neither level 4 nor level 5")


def _leaves(name: str, kind: int, parts: list[Array]) -> Iterator[tuple[str, Leaf]]:
    if kind == _TEXT:
        yield name, Texts(values=tuple(_texts(parts[0])), shape=(parts[0].shape[0],))
        return
    if kind == _SPARSE:
        # Rows, columns and values of what is not zero, and the size in the last line.
        yield f"{name} (sparse)", Tree(value="rows, columns, values")
    yield from zip((name, f"{name} (imaginary)"), parts, strict=False)


def _texts(array: Array) -> Iterator[str]:
    """The lines of a matrix of characters, which are stored as numbers column by column."""
    code = {"f8": "d", "f4": "f", "i4": "i", "i2": "h", "u2": "H", "u1": "B"}[array.plain]
    count = math.prod(array.shape)
    values = struct.unpack(f"{array.type[0]}{count}{code}", array.data)
    rows = array.shape[0]
    for row in range(rows):
        line = values[row::rows] if rows else ()
        if not all(0 <= value < 0x110000 and value == int(value) for value in line):
            raise Malformed("a text holds what is no character")
        yield "".join(map(chr, map(int, line)))
