"""MATLAB's MAT-files of level 5 (versions 5 to 7): "MAT-File Format", MathWorks, R2019b."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

from repro.compare.arrays import CODES, Array
from repro.compare.base import Beyond, Malformed
from repro.compare.contents import MAX_LEAVES, Content, Leaf, Texts, Tree
from repro.compare.inflate import inflate_zlib

MAGIC = b"MATLAB 5.0"
_MAX_DEPTH = 60
_MAX_PLAIN = 192 << 20
_MATRIX, _COMPRESSED = 14, 15
_STORED = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
    16: "u1", 17: "u2", 18: "u4",
}  # fmt: skip
_TEXT = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE = 1, 2, 3, 4, 5


def read_mat5(data: bytes) -> Content:
    """Every variable, cell and field by place. Raises Malformed and Beyond."""
    if not data.startswith(MAGIC):
        raise Beyond("it is no MAT-file of level 5 or newer")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise Malformed("its header ends early")
    try:
        reader = _Reader(order)
        found: dict[str, Leaf] = {}
        for number, (kind, body) in enumerate(reader.elements(data, 128)):
            if kind == _COMPRESSED:
                body = _inflated(body, reader)
            elif kind != _MATRIX:
                raise Malformed("a variable is of an unknown kind")
            for place, leaf in reader.matrix(body, "", 0, f"variable {number}"):
                if place in found or len(found) > MAX_LEAVES:
                    raise Beyond(f"more than {MAX_LEAVES} values, or two at one place")
                found[place] = leaf
    except struct.error:
        raise Malformed("it ends too early") from None
    return found


def _inflated(body: bytes, reader: _Reader) -> bytes:
    reader.left -= len(body)
    plain = inflate_zlib(body, reader.left if reader.left > 0 else 1)
    reader.left -= len(plain)
    inside = list(reader.elements(plain, 0))
    if len(inside) != 1 or inside[0][0] != _MATRIX:
        raise Malformed("a compressed variable is no variable")
    return inside[0][1]


class _Reader:
    def __init__(self, order: str) -> None:
        self._order = order
        self.left = _MAX_PLAIN

    def elements(self, data: bytes, position: int) -> Iterator[tuple[int, bytes]]:
        """Data elements, small ones too: type and body."""
        while position < len(data):
            kind, size = struct.unpack_from(f"{self._order}II", data, position)
            if kind >> 16:
                size, kind, start, step = kind >> 16, kind & 0xFFFF, position + 4, 8
                if size > 4:
                    raise Malformed("a small element is too large")
            else:
                start = position + 8
                # Compressed elements are not filled to 8 bytes.
                step = 8 + size + (0 if kind == _COMPRESSED else -size % 8)
            if start + size > len(data) or position + step > len(data):
                raise Malformed("it ends inside a variable")
            yield kind, data[start : start + size]
            position += step

    def matrix(
        self, data: bytes, place: str, depth: int, fallback: str = ""
    ) -> Iterator[tuple[str, Leaf]]:
        """The leaves of one array (miMATRIX)."""
        if not data:
            # An empty cell or field may have no body at all.
            yield place, Tree(value="empty")
            return
        parts = self.elements(data, 0)
        flags = self._whole(self._next(parts), "I")[0]
        kind = flags & 0xFF
        if depth > _MAX_DEPTH:
            raise Beyond(f"nested more than {_MAX_DEPTH} deep")
        if kind not in _CLASSES and kind not in (_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE):
            raise Beyond(f"a value of MATLAB's class {kind} (an object or function) is not read")
        shape = self._whole(self._next(parts), "i")
        if min(shape, default=0) < 0:
            raise Malformed("a size is negative")
        name = self._next(parts)[1].decode("latin-1")
        place = place or name or fallback
        if kind in _CLASSES:
            yield from self._numbers(parts, kind, flags, shape, place)
        elif kind == _CHAR:
            yield place, Texts(values=(self._text(self._next(parts)),), shape=shape)
        elif kind == _SPARSE:
            yield from self._sparse(parts, flags, shape, place)
        else:
            yield from self._nested(parts, kind, shape, place, depth)

    def _next(self, parts: Iterator[tuple[int, bytes]]) -> tuple[int, bytes]:
        found = next(parts, None)
        if found is None:
            raise Malformed("a variable ends too early")
        return found

    def _whole(self, element: tuple[int, bytes], code: str) -> tuple[int, ...]:
        count = len(element[1]) // 4
        return struct.unpack(f"{self._order}{count}{code}", element[1][: 4 * count]) or (0,)

    def _text(self, element: tuple[int, bytes]) -> str:
        kind, body = element
        codec = _TEXT.get(kind)
        if codec is None:
            raise Malformed("a text is stored as something else")
        if codec in ("utf-16", "utf-32"):
            codec += "-le" if self._order == "<" else "-be"
        return body.decode(codec, "surrogateescape" if codec == "utf-8" else "surrogatepass")

    def _numbers(
        self,
        parts: Iterator[tuple[int, bytes]],
        kind: int,
        flags: int,
        shape: tuple[int, ...],
        place: str,
    ) -> Iterator[tuple[str, Leaf]]:
        # Whether an array is logical is part of its type.
        plain = "b1" if flags & 0x200 and kind == 9 else _CLASSES[kind]
        yield place, self._array(self._next(parts), plain, shape)
        if flags & 0x800:
            yield f"{place} (imaginary)", self._array(self._next(parts), plain, shape)

    def _array(self, element: tuple[int, bytes], plain: str, shape: tuple[int, ...]) -> Array:
        kind, body = element
        stored = _STORED.get(kind)
        if stored is None:
            raise Malformed("numbers are stored as something else")
        count = len(body) // int(stored[1:])
        if count != math.prod(shape):
            raise Malformed("a variable has another length than its size says")
        if stored != plain and plain != "b1":
            # Whole doubles are stored as short integers (page 1-13).
            form = f"{self._order}{count}"
            values = struct.unpack(f"{form}{CODES[stored]}", body)
            body = struct.pack(f"{form}{CODES[plain]}", *values)
        return Array(type=f"{self._order}{plain}", shape=shape, data=body, fortran=True)

    def _sparse(
        self, parts: Iterator[tuple[int, bytes]], flags: int, shape: tuple[int, ...], place: str
    ) -> Iterator[tuple[str, Leaf]]:
        rows, columns = (self._whole(self._next(parts), "i") for _ in range(2))
        count = columns[-1]
        if not 0 <= count <= len(rows):
            raise Malformed("a sparse matrix is not understood")
        yield f"{place} (size, logical)", Tree(value=[*shape, bool(flags & 0x200)])
        for name, values in (("rows", rows[:count]), ("columns", columns)):
            body = struct.pack(f"{self._order}{len(values)}i", *values)
            yield f"{place} ({name})", self._array((5, body), "i4", (len(values),))
        for name in ("values", "imaginary")[: 2 if flags & 0x800 else 1]:
            kind, body = self._next(parts)
            stored = _STORED.get(kind, "f8")
            body = body[: count * int(stored[1:])]
            yield f"{place} ({name})", self._array((kind, body), "f8", (count,))

    def _nested(
        self,
        parts: Iterator[tuple[int, bytes]],
        kind: int,
        shape: tuple[int, ...],
        place: str,
        depth: int,
    ) -> Iterator[tuple[str, Leaf]]:
        yield f"{place} (size)", Tree(value=list(shape))
        if kind == _OBJECT:
            yield f"{place} (class)", Tree(value=self._next(parts)[1].decode("latin-1"))
        names = [""] if kind == _CELL else self._names(parts)
        if kind != _CELL:
            yield f"{place} (fields)", Tree(value=names)
        for number in range(math.prod(shape)):
            for name in names:
                index = f"{{{number + 1}}}" if kind == _CELL else f"({number + 1}).{name}"
                inner = f"{place}.{name}" if kind != _CELL and math.prod(shape) == 1 else None
                body = self._next(parts)[1]
                yield from self.matrix(body, inner or f"{place}{index}", depth + 1)

    def _names(self, parts: Iterator[tuple[int, bytes]]) -> list[str]:
        width = self._whole(self._next(parts), "i")[0]
        body = self._next(parts)[1]
        if not 0 < width <= 1024:
            raise Malformed("the names of its fields are not understood")
        fields = (body[start : start + width] for start in range(0, len(body), width))
        return [field.split(b"\0")[0].decode("latin-1") for field in fields]
