"""NetCDF classic files: CDF-1, CDF-2 and CDF-5 (NetCDF's "File Format Specifications")."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from repro.compare.arrays import Array
from repro.compare.base import Beyond, Malformed
from repro.compare.contents import MAX_LEAVES, Blob, Content, Leaf, Tree

MAGIC = (b"CDF\1", b"CDF\2", b"CDF\5")
_TYPES = {
    1: "|i1", 2: "|S1", 3: ">i2", 4: ">i4", 5: ">f4", 6: ">f8", 7: "|u1", 8: ">u2", 9: ">u4",
    10: ">i8", 11: ">u8",
}  # fmt: skip
_DIMENSION, _VARIABLE, _ATTRIBUTE = 10, 11, 12


def read_netcdf3(data: bytes) -> Content:
    """Dimensions, attributes and variables. Raises Malformed and Beyond."""
    if not data.startswith(MAGIC):
        raise Malformed("it is no classic NetCDF file")
    try:
        found = dict(_Reader(data).leaves())
    except struct.error:
        raise Malformed("it ends inside its header") from None
    return found


@dataclass
class _Variable:
    name: str
    dimensions: list[int]
    attributes: dict[str, Leaf]
    type: str
    begin: int
    shape: tuple[int, ...] = ()
    record: bool = False

    @property
    def size(self) -> int:
        """Bytes of the variable, or of one record of it."""
        return math.prod(self.shape[1:] if self.record else self.shape) * int(self.type[2:])


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 4
        self._wide = data[3] == 5
        self._offset = ">i" if data[3] == 1 else ">q"

    def leaves(self) -> Iterator[tuple[str, Leaf]]:
        """Every leaf by place; raises struct.error when the header ends early."""
        records = self._number(">q" if self._wide else ">i")
        if records == -1:
            raise Beyond("the number of its records is not written (streaming)")
        dimensions = [(self._name(), self._count()) for _ in self._list(_DIMENSION)]
        for name, size in dimensions:
            yield f"dimension {name}", Tree(value=size or f"unlimited, {records}")
        for name, leaf in self._attributes().items():
            yield f"@{name}", leaf
        variables = [self._variable() for _ in self._list(_VARIABLE)]
        for variable in variables:
            self._shape(variable, dimensions, records)
        row = self._row(variables)
        end = self._position
        for variable in variables:
            body, stop = self._values(variable, row)
            end = max(end, stop)
            yield variable.name, Array(type=variable.type, shape=variable.shape, data=body)
            for name, leaf in variable.attributes.items():
                yield f"{variable.name}@{name}", leaf
        if self._data[end:].strip(b"\0"):
            yield "after the data", Blob(data=self._data[end:])

    def _number(self, form: str) -> int:
        found: int = struct.unpack_from(form, self._data, self._position)[0]
        self._position += struct.calcsize(form)
        return found

    def _count(self) -> int:
        found = self._number(">q" if self._wide else ">i")
        if found < 0:
            raise Malformed("a length is negative")
        return found

    def _name(self) -> str:
        return self._take(self._count()).decode("utf-8", "surrogateescape")

    def _take(self, size: int) -> bytes:
        found = self._data[self._position : self._position + size]
        if len(found) != size:
            raise Malformed("it ends inside its header")
        self._position += size + -size % 4
        return found

    def _list(self, tag: int) -> range:
        found, count = self._number(">i"), self._count()
        if found not in (0, tag) or (found == 0 and count):
            raise Malformed("its header is not understood")
        if count > MAX_LEAVES:
            raise Beyond(f"more than {MAX_LEAVES} names")
        return range(count)

    def _type(self) -> str:
        number = self._number(">i")
        if number not in _TYPES:
            raise Malformed(f"type {number} is not known")
        return _TYPES[number]

    def _attributes(self) -> dict[str, Leaf]:
        found: dict[str, Leaf] = {}
        for _ in self._list(_ATTRIBUTE):
            name, type_, count = self._name(), self._type(), self._count()
            body = self._take(count * int(type_[2:]))
            found[name] = (
                Tree(value=body.decode("utf-8", "surrogateescape"))
                if type_ == "|S1"
                else Array(type=type_, shape=(count,), data=body)
            )
        return found

    def _variable(self) -> _Variable:
        name = self._name()
        dimensions = [self._count() for _ in range(min(self._count(), 1024))]
        attributes = self._attributes()
        type_ = self._type()
        self._count()  # vsize: said again by the shape, and too narrow for large ones
        begin = self._number(self._offset)
        return _Variable(name, dimensions, attributes, type_, begin)

    def _shape(self, variable: _Variable, sizes: list[tuple[str, int]], records: int) -> None:
        if any(number >= len(sizes) for number in variable.dimensions) or variable.begin < 0:
            raise Malformed(f"variable {variable.name} has no such dimension or place")
        shape = [sizes[number][1] for number in variable.dimensions]
        variable.record = bool(shape) and shape[0] == 0
        variable.shape = (records, *shape[1:]) if variable.record else tuple(shape)

    def _row(self, variables: list[_Variable]) -> int:
        """Bytes between two records: of all record variables, each filled to 4 bytes."""
        rows = [variable.size for variable in variables if variable.record]
        return rows[0] if len(rows) == 1 else sum(size + -size % 4 for size in rows)

    def _values(self, variable: _Variable, row: int) -> tuple[bytes, int]:
        size, begin = variable.size, variable.begin
        if not variable.record:
            end = begin + size + -size % 4
            body = self._data[begin : begin + size]
        else:
            records = variable.shape[0]
            if records * size > len(self._data):
                raise Malformed(f"it ends inside variable {variable.name}")
            starts = range(begin, begin + records * row, row) if row else ()
            body = b"".join(self._data[start : start + size] for start in starts)
            # A record variable on its own is not filled, its row is its size.
            end = begin + max(0, records - 1) * row + min(row, size + -size % 4)
            end = end if records else begin
        if end > len(self._data) or len(body) != math.prod(variable.shape) * int(variable.type[2:]):
            raise Malformed(f"it ends inside variable {variable.name}")
        return body, end
