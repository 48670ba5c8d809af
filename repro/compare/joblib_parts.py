"""joblib's files: pickles with the bytes of arrays between their opcodes (numpy_pickle.py)."""

from __future__ import annotations

import io
import math

from repro.compare.base import Beyond, Malformed
from repro.compare.contents import Leaf
from repro.compare.numpy_parts import Kind, kind_of, name_of, numbers
from repro.compare.pickled import Part

_WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
_ALIGNMENT = "numpy_array_alignment_bytes"


def take_array(part: Part, stream: io.BytesIO) -> None:
    """Read the bytes that follow an array's wrapper. Raises Malformed and Beyond."""
    if name_of(part) != _WRAPPER:
        return
    state = _state(part)
    kind, shape = _form(state)
    if state.get(_ALIGNMENT) is not None:
        stream.read((stream.read(1) or b"\0")[0])
    size = math.prod(shape) * kind.size
    part.data = stream.read(size) if size <= len(stream.getbuffer()) else b""
    if len(part.data) != size:
        raise Malformed("it ends inside an array")


def joblib_array(part: Part, place: str) -> list[tuple[str, Leaf]] | None:
    """The leaves of an array that ``take_array`` read."""
    if part.data is None:
        return None
    state = _state(part)
    kind, shape = _form(state)
    return numbers(kind, shape, state.get("order") == "F", part.data, place)


def _state(part: Part) -> dict[object, object]:
    state = part.state[-1]
    if not isinstance(state, Part) or state.kind != "dict":
        raise Beyond("an array's wrapper of joblib is not understood")
    return dict(pair for pair in state.pairs if isinstance(pair[0], str))


def _form(state: dict[object, object]) -> tuple[Kind, tuple[int, ...]]:
    kind, shape = kind_of(state.get("dtype")), state.get("shape")
    subclass = state.get("subclass")
    plain = isinstance(subclass, Part) and subclass.name == "numpy.ndarray"
    if kind is None or kind.type.lstrip("<>|=")[:1] == "O" or not plain:
        raise Beyond("an array of Python objects or of a class of its own is not read")
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise Malformed("an array has no shape")
    return kind, shape
