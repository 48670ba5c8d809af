"""PyTorch's zip files and safetensors: names, shapes and numbers; nothing is loaded."""

from __future__ import annotations

import math
import posixpath
import struct
from collections.abc import Mapping

from repro.compare.arrays import Array
from repro.compare.base import Beyond, Malformed
from repro.compare.contents import Blob, Content, Leaf, Tree
from repro.compare.numpy_parts import name_of
from repro.compare.pickle_leaves import pickle_leaves
from repro.compare.pickled import Part, read_pickles
from repro.compare.strictjson import parse_json
from repro.compare.unzip import unzip

# torch/storage.py: the storage's class tells the type of its numbers.
_STORAGES = {
    "DoubleStorage": "f8", "FloatStorage": "f4", "HalfStorage": "f2", "BFloat16Storage": "bf16",
    "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1",
    "ByteStorage": "u1", "BoolStorage": "b1", "ComplexFloatStorage": "c8",
    "ComplexDoubleStorage": "c16",
}  # fmt: skip
_SAFE = {
    "F64": "f8", "F32": "f4", "F16": "f2", "BF16": "bf16", "I64": "i8", "I32": "i4", "I16": "i2",
    "I8": "i1", "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1", "BOOL": "b1",
    "F8_E4M3": "f8e4m3", "F8_E5M2": "f8e5m2",
}  # fmt: skip
_WIDTHS = {"bf16": 2, "f8e4m3": 1, "f8e5m2": 1}
_MAX_HEADER = 100 << 20
# Random or the program's own, beside the tensors (torch/serialization.py).
_WRITTEN = ("version", ".data/serialization_id", ".format_version", ".storage_alignment")


def read_torch(data: bytes) -> Content:
    """A file of torch.save (the zip form). Raises Malformed and Beyond."""
    members = unzip(data)
    pickles = [name for name in members if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(pickles) != 1:
        raise Beyond("a zip without the one data.pkl of PyTorch (TorchScript?) is not read")
    top = posixpath.dirname(pickles[0])
    parts = {name.removeprefix(f"{top}/"): body for name, body in members.items()}
    order = parts.pop("byteorder", b"little")
    if order != b"little":
        raise Beyond("numbers in another order of bytes are not read")
    storages = {name[5:]: parts.pop(name) for name in list(parts) if name.startswith("data/")}
    used = _Tensors(storages)
    found = dict(pickle_leaves(read_pickles(parts.pop("data.pkl")), used.leaves))
    for key in storages.keys() - used.seen:
        found[f"storage {key} that no tensor uses"] = Blob(data=storages[key])
    for name, body in parts.items():
        found[f"member {name}"] = Blob(data=body)
    return found


def is_written(place: str) -> bool:
    """Whether a place of ``read_torch`` only tells who wrote the file."""
    return place in {f"member {name}" for name in _WRITTEN}


class _Tensors:
    """Tensors of a pickle, which say where in which storage their numbers lie."""

    def __init__(self, storages: Mapping[str, bytes]) -> None:
        self._storages = storages
        self.seen: set[str] = set()

    def leaves(self, part: Part, place: str) -> list[tuple[str, Leaf]] | None:
        """The leaves of a tensor or of a storage on its own, None for anything else."""
        if part.kind == "persistent":
            plain, body = self._storage(part)
            return [_array(place, plain, (len(body) // _width(plain),), body)]
        if name_of(part) != "torch._utils._rebuild_tensor_v2" or part.state:
            return None
        arguments = part.made[1]
        if not isinstance(arguments, tuple) or len(arguments) < 6:
            raise Malformed("a tensor is not understood")
        storage, offset, shape, strides = arguments[:4]
        if not isinstance(storage, Part) or storage.kind != "persistent":
            raise Malformed("a tensor has no storage")
        plain, body = self._storage(storage)
        sizes, steps = _sizes(shape), _sizes(strides)
        body = _gathered(body, _width(plain), _sizes((offset,))[0], sizes, steps)
        return [
            _array(place, plain, sizes, body),
            (f"{place} <requires_grad>", Tree(value=arguments[4] is True)),
        ]

    def _storage(self, part: Part) -> tuple[str, bytes]:
        name = part.made[0]
        if not isinstance(name, tuple) or len(name) != 5 or name[0] != "storage":
            raise Beyond("a reference of the pickle to something outside is not understood")
        kind, key = name[1], name[2]
        plain = _STORAGES.get(kind.name.rpartition(".")[2]) if isinstance(kind, Part) else None
        if plain is None:
            raise Beyond("a tensor's type of number is not known")
        if not isinstance(key, str) or key not in self._storages:
            raise Malformed("a storage is missing")
        self.seen.add(key)
        body = self._storages[key]
        if name[4] != len(body) // _width(plain):
            raise Malformed("a storage has another length than the pickle says")
        return plain, body


def _width(plain: str) -> int:
    return _WIDTHS.get(plain) or int(plain[1:])


def _sizes(value: object) -> tuple[int, ...]:
    if not isinstance(value, tuple) or not all(type(n) is int and n >= 0 for n in value):
        raise Malformed("a tensor's shape or place is not understood")
    return tuple(value)


def _gathered(
    body: bytes, width: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> bytes:
    """A tensor's numbers in a row, the last index fastest."""
    if len(shape) != len(strides):
        raise Malformed("a tensor's shape or place is not understood")
    count = math.prod(shape)
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if count == 0:
        return b""
    if last * width + width > len(body) or count > len(body):
        raise Malformed("a tensor is larger than its storage")
    expected = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    if all(s == e or n == 1 for s, e, n in zip(strides, expected, shape, strict=True)):
        return body[offset * width : (offset + count) * width]
    places = [offset]
    for size, step in zip(shape, strides, strict=True):
        places = [start + number * step for start in places for number in range(size)]
    return b"".join(body[place * width : place * width + width] for place in places)


def _array(place: str, plain: str, shape: tuple[int, ...], body: bytes) -> tuple[str, Leaf]:
    if plain == "bf16":
        # The upper half of a float32.
        wide = bytearray(2 * len(body))
        wide[2::4], wide[3::4] = body[0::2], body[1::2]
        return place, Array(type="<f4", shape=shape, data=bytes(wide))
    return place, Array(type=f"<{plain}", shape=shape, data=body)


def read_safetensors(data: bytes) -> Content:
    """A safetensors file: tensors by name, and its metadata. Raises Malformed and Beyond."""
    if len(data) < 8:
        raise Malformed("it is no safetensors file")
    size: int = struct.unpack_from("<Q", data)[0]
    if size > len(data) - 8:
        raise Malformed("it ends inside its header")
    if size > _MAX_HEADER:
        raise Beyond(f"its header is larger than {_MAX_HEADER >> 20} MiB")
    header = parse_json(data[8 : 8 + size])
    if not isinstance(header, dict):
        raise Malformed("its header is no object")
    body = data[8 + size :]
    found: dict[str, Leaf] = {}
    metadata = header.pop("__metadata__", None)
    if metadata is not None:
        found["metadata"] = Tree(value=metadata)
    spans = []
    for name, entry in header.items():
        plain, shape, span = _entry(entry)
        spans.append(span)
        part = body[span[0] : span[1]]
        if len(part) != math.prod(shape) * _width(plain):
            raise Malformed(f"tensor {name[:80]} has another length than its shape says")
        found[f"tensor {name}"] = _array("", plain, shape, part)[1]
        found[f"tensor {name}, type"] = Tree(value=entry["dtype"])
    end = 0
    for start, stop in sorted(spans):
        if start != end:
            raise Malformed("tensors overlap, or leave a gap")
        end = stop
    if end != len(body):
        raise Malformed("its data have another length than its header says")
    return found


def _entry(entry: object) -> tuple[str, tuple[int, ...], tuple[int, int]]:
    if not isinstance(entry, dict):
        raise Malformed("a tensor is not understood")
    span, shape = entry.get("data_offsets"), entry.get("shape")
    if not isinstance(span, list) or len(span) != 2 or not isinstance(shape, list):
        raise Malformed("a tensor is not understood")
    start, stop = _sizes(tuple(span))
    plain = _SAFE.get(str(entry.get("dtype")))
    if plain is None:
        raise Beyond(f"numbers of the type {str(entry.get('dtype'))[:20]} are not read")
    return plain, _sizes(tuple(shape)), (start, stop)
