"""NumPy's arrays, scalars and types inside a pickle, known by how they are rebuilt."""

from __future__ import annotations

import math
import re

from repro.compare.arrays import CODES, Array
from repro.compare.base import Malformed
from repro.compare.contents import Leaf, Tree
from repro.compare.pickled import Part
from repro.primitives.frozen import frozen

_ARRAYS = re.compile(r"numpy\._?core\.multiarray\._reconstruct")
_SCALARS = re.compile(r"numpy\._?core\.multiarray\.scalar")
_BUFFERS = re.compile(r"numpy\._?core\.numeric\._frombuffer")
_TYPE = re.compile(r"[a-zA-Z]\d+")


@frozen
class Kind:
    """A dtype: NumPy's short form, the bytes of an element, and fields with their offsets."""

    type: str
    size: int
    fields: tuple[tuple[str, Kind, int], ...] = ()
    more: str = ""


def name_of(part: Part) -> str:
    """The dotted name of what an object is made by; empty when that is no plain name."""
    first = part.made[0] if part.made else None
    if isinstance(first, Part) and first.kind == "global":
        return first.name
    return ""


def kind_of(value: object, depth: int = 0) -> Kind | None:
    """The dtype that a part rebuilds, or None when it is no dtype of a known form."""
    if not isinstance(value, Part) or name_of(value) != "numpy.dtype" or depth > 8:
        return None
    arguments = value.made[1]
    text = arguments[0] if isinstance(arguments, tuple) and arguments else None
    state = value.state[-1] if value.state else ()
    if not isinstance(text, str) or not isinstance(state, tuple) or not _TYPE.fullmatch(text):
        return None
    order, subarray, names, fields = (*state[1:5], None, None, None, None)[:4] if state else (
        "|", None, None, None
    )  # fmt: skip
    size = int(text[1:]) * (4 if text[0] == "U" else 1)
    if subarray is not None or order not in ("<", ">", "|", "="):
        return None
    order = "<" if order == "=" else order
    if names is None:
        # Units of time and the like come after the eight usual pieces.
        return Kind(type=f"{order}{text}", size=size, more=repr(state[8:])[:200])
    return _structure(names, fields, f"{order}{text}", size, depth)


def _structure(names: object, fields: object, text: str, size: int, depth: int) -> Kind | None:
    if not isinstance(names, tuple) or not isinstance(fields, Part):
        return None
    table = {key: value for key, value in fields.pairs if isinstance(key, str)}
    found = []
    for name in names:
        entry = table.get(name)
        if not isinstance(name, str) or not isinstance(entry, tuple) or len(entry) < 2:
            return None
        inner, offset = kind_of(entry[0], depth + 1), entry[1]
        if inner is None or not isinstance(offset, int) or not 0 <= offset <= size - inner.size:
            return None
        found.append((name, inner, offset))
    return Kind(type=text, size=size, fields=tuple(found))


def array_of(part: Part, place: str) -> list[tuple[str, Leaf]] | None:
    """The leaves of an array, or None for anything else (an array of Python objects too)."""
    name, state = name_of(part), part.state[-1] if part.state else None
    if _ARRAYS.fullmatch(name) and isinstance(state, tuple) and len(state) == 5:
        _, shape, kind, fortran, data = state
        if _class_of(part) != "numpy.ndarray" or len(part.state) != 1 or part.items or part.pairs:
            return None
    elif _BUFFERS.fullmatch(name) and isinstance(part.made[1], tuple) and len(part.made[1]) == 4:
        data, kind, shape, order = part.made[1]
        fortran = order == "F"
    else:
        return None
    known = kind_of(kind)
    if known is None or not isinstance(data, bytes) or known.type.lstrip("<>|=")[:1] == "O":
        return None
    return numbers(known, shape, bool(fortran), data, place)


def scalar_of(part: Part, place: str) -> list[tuple[str, Leaf]] | None:
    """The leaf of a NumPy scalar, or None."""
    arguments = part.made[1] if len(part.made) == 2 else None
    if not _SCALARS.fullmatch(name_of(part)) or not isinstance(arguments, tuple):
        return None
    known = kind_of(arguments[0]) if len(arguments) == 2 else None
    if known is None or not isinstance(arguments[1], bytes):
        return None
    return numbers(known, (), False, arguments[1], place)


def _class_of(part: Part) -> str:
    arguments = part.made[1]
    first = arguments[0] if isinstance(arguments, tuple) and arguments else None
    return first.name if isinstance(first, Part) and first.kind == "global" else ""


def numbers(
    kind: Kind, shape: object, fortran: bool, data: bytes, place: str
) -> list[tuple[str, Leaf]]:
    """An array's leaves: one, or one for each field. Raises Malformed for a wrong length."""
    sizes = shape if isinstance(shape, tuple) else (shape,)
    axes = tuple(size for size in sizes if isinstance(size, int) and size >= 0)
    if axes != sizes or math.prod(axes) * kind.size != len(data):
        raise Malformed(f"an array at {place or 'the top'} has another length than its shape says")
    fortran = fortran and len(axes) > 1
    if not kind.fields:
        array: list[tuple[str, Leaf]] = [
            (place, Array(type=kind.type, shape=axes, data=data, fortran=fortran))
        ]
        if kind.type.lstrip("<>|=") not in CODES:
            array.append((f"{place} <type>", Tree(value=[kind.type, kind.more])))
        return array
    found: list[tuple[str, Leaf]] = []
    for name, inner, offset in kind.fields:
        pieces = b"".join(
            data[start + offset : start + offset + inner.size]
            for start in range(0, len(data), kind.size or 1)
        )
        found += numbers(inner, axes, fortran, pieces, f"{place}<{name}>")
    return found
