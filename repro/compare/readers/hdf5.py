"""HDF5 by h5py: groups, datasets and attributes; nothing outside the file is followed."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import io
import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Union

from repro.compare.arrays import Array
from repro.compare.base import Beyond, Malformed
from repro.compare.contents import Blob, Leaf, Texts, Tree
from repro.compare.wire import Part

EXTRA = "hdf5"
Leaves = Iterator[Union[tuple[str, Leaf], Part]]  # noqa: UP007 - an alias at run time
_MAX_VALUES = 256 << 20
_MAX_DEPTH = 60
_FAILURES = (OSError, RuntimeError, ValueError, KeyError, TypeError)


def start() -> Callable[[int, bool], Callable[[], Iterable[tuple[str, Leaf] | Part]]]:
    """Load the library, and use it once: what it loads late cannot be loaded after the lock."""
    h5py = importlib.import_module("h5py")
    numpy = importlib.import_module("numpy")
    with h5py.File("warm", "w", driver="core", backing_store=False) as file:
        _fill(h5py, numpy, file)
        list(_Walk(h5py, numpy, file).leaves())
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        _fill(h5py, numpy, file)
    with h5py.File(out, "r") as file:
        list(_Parts(h5py, numpy, file).leaves())
    return lambda fd, in_parts: lambda: (_read_parts if in_parts else _read)(h5py, numpy, fd)


def _fill(h5py: Any, numpy: Any, file: Any) -> None:
    file.create_dataset("a/b", data=numpy.arange(3.0), compression="gzip", shuffle=True)
    file["a"].attrs["text"] = "é"
    file["a"].attrs["fixed"] = numpy.bytes_(b"x")
    file["a"].attrs["texts"] = ["x", "y"]
    file["link"] = h5py.SoftLink("/a")
    file["texts"] = ["x", "é"]
    file["pairs"] = numpy.zeros(1, dtype=[("i", "i4"), ("s", "S3"), ("f", "f2", 2)])
    file["references"] = numpy.array([file["a"].ref], dtype=h5py.ref_dtype)
    lists = file.create_dataset("lists", (1,), dtype=h5py.vlen_dtype(numpy.dtype("f8")))
    lists[0] = [1.0]
    file["flags"] = numpy.array([True])
    file["empty"] = h5py.Empty("f8")


def _read(h5py: Any, numpy: Any, fd: int) -> Leaves:
    with os.fdopen(fd, "rb") as stream:
        data = stream.read()
    try:
        # An image in memory: the library is given no file name, so it opens none.
        handle = h5py.h5f.open_file_image(data, h5py.h5f.FILE_IMAGE_OPEN_RW)
        file = h5py.File(handle)
    except _FAILURES as error:
        raise Malformed(f"HDF5 cannot open it: {error}") from None
    yield from _Walk(h5py, numpy, file).leaves()


def _read_parts(h5py: Any, numpy: Any, fd: int) -> Leaves:
    """A large file: read where it lies, through the one descriptor that the lock leaves."""
    try:
        file = h5py.File(os.fdopen(fd, "rb", buffering=0), "r")
    except _FAILURES as error:
        raise Malformed(f"HDF5 cannot open it: {error}") from None
    yield from _Parts(h5py, numpy, file).leaves()


class _Walk:
    """Every object once, in the order of names."""

    def __init__(self, h5py: Any, numpy: Any, file: Any) -> None:
        self._h5py = h5py
        self._numpy = numpy
        self._file = file
        self._seen: dict[object, str] = {}
        self._left = _MAX_VALUES

    def leaves(self) -> Leaves:
        """The leaves of the whole file."""
        yield from self._object(self._file["/"], "", 0)

    def _object(self, item: Any, place: str, depth: int) -> Leaves:
        if depth > _MAX_DEPTH:
            raise Beyond(f"nested more than {_MAX_DEPTH} deep")
        info = self._h5py.h5o.get_info(item.id)
        key = (info.fileno, info.addr)
        if key in self._seen:
            yield place, Tree(value=f"the same as {self._seen[key] or '/'}")
            return
        self._seen[key] = place
        yield from self._attributes(item, place)
        if isinstance(item, self._h5py.Group):
            if depth:
                yield f"{place}/", Tree(value=f"a group of {len(item)}")
            for name in sorted(item):
                yield from self._link(item, name, f"{place}/{name}" if place else name, depth)
        elif isinstance(item, self._h5py.Dataset):
            yield from self._dataset(item, place)
        else:
            yield place, Tree(value=f"a type {item.dtype}")

    def _link(self, group: Any, name: str, place: str, depth: int) -> Leaves:
        link = group.get(name, getlink=True)
        if isinstance(link, self._h5py.HardLink):
            yield from self._object(group[name], place, depth + 1)
        elif isinstance(link, self._h5py.SoftLink):
            yield place, Tree(value=f"a link to {link.path}")
        else:
            # Another file of the reader's machine: never opened.
            target = f"{getattr(link, 'filename', '')}:{getattr(link, 'path', '')}"
            raise Beyond(f"{place} is a link to another file ({target[:100]}), never followed")

    def _attributes(self, item: Any, place: str) -> Leaves:
        for name in sorted(item.attrs):
            where = f"{place}@{name}"
            value = self._tried(functools.partial(item.attrs.__getitem__, name), where)
            if isinstance(value, (str, bytes)):
                yield where, Tree(value=self._text(value))
            else:
                described = item.attrs.get_id(name).dtype
                yield from self._values(self._numpy.asarray(value), described, where, kind=Tree)

    def _dataset(self, item: Any, place: str) -> Leaves:
        if item.external or item.is_virtual:
            raise Beyond(f"the values of {place} lie in other files, which are never opened")
        if item.shape is None:
            yield place, Tree(value="empty")
            return
        self._left -= item.size * max(1, item.dtype.itemsize)
        if self._left < 0:
            raise Beyond(f"it holds more than {_MAX_VALUES >> 20} MiB of values")
        values = self._tried(lambda: item[()], place)
        yield from self._values(self._numpy.asarray(values, dtype=item.dtype), item.dtype, place)

    def _tried(self, get: Callable[[], Any], place: str) -> Any:
        try:
            return get()
        except _FAILURES as error:
            # A filter that is not built in, or a damaged chunk: the library does not say which.
            raise Beyond(f"{place} cannot be read: {str(error)[:200]}") from None

    def _values(
        self, values: Any, dtype: Any, place: str, kind: type[Tree] | None = None
    ) -> Leaves:
        h5py = self._h5py
        shape = tuple(int(size) for size in values.shape)
        if dtype.names:
            for name in dtype.names:
                yield from self._values(values[name], dtype[name], f"{place}.{name}", kind)
        elif dtype.subdtype is not None:
            yield from self._values(values, values.dtype, place, kind)
        elif h5py.check_ref_dtype(dtype) is not None:
            yield place, Texts(values=tuple(map(self._name, values.reshape(-1))), shape=shape)
        elif h5py.check_string_dtype(dtype) is not None or dtype.kind in "SU":
            texts = tuple(self._text(value) for value in values.reshape(-1).tolist())
            yield place, Tree(value=list(texts)) if kind else Texts(values=texts, shape=shape)
        elif h5py.check_vlen_dtype(dtype) is not None:
            yield from self._lists(values, h5py.check_vlen_dtype(dtype), place)
        elif dtype.kind in "iufcb":
            yield place, self._array(values, shape)
            names = h5py.check_enum_dtype(dtype)
            if names:
                # By name, so that the order of definition is free.
                yield f"{place}, names", Tree(value={k: int(v) for k, v in names.items()})
        else:
            yield place, Blob(data=f"{dtype} {shape} ".encode() + values.tobytes())

    def _array(self, values: Any, shape: tuple[int, ...]) -> Array:
        numpy = self._numpy
        type_ = values.dtype.str
        return Array(type=type_, shape=shape, data=numpy.ascontiguousarray(values).tobytes())

    def _lists(self, values: Any, dtype: Any, place: str) -> Leaves:
        """Arrays of any length: their lengths, and all elements in a row."""
        numpy = self._numpy
        parts = [numpy.asarray(value).reshape(-1) for value in values.reshape(-1).tolist()]
        lengths = numpy.asarray([len(part) for part in parts], dtype="<i8")
        yield f"{place}, lengths", self._array(lengths, tuple(map(int, values.shape)))
        joined = numpy.concatenate(parts) if parts else numpy.asarray([], dtype=dtype)
        yield from self._values(joined, dtype, place)

    def _name(self, reference: Any) -> str:
        if isinstance(reference, self._h5py.Reference) and reference:
            name = self._h5py.h5r.get_name(reference, self._file.id)
            return self._text(name or b"?")
        return "no object"

    def _text(self, value: object) -> str:
        if isinstance(value, bytes):
            return value.decode("utf-8", "surrogateescape")
        return str(value)


_SLAB = 16 << 20
_MAX_STREAMED = 1 << 36


class _Parts(_Walk):
    """The same in parts: an object with its attributes, of a large dataset some rows at a time."""

    def __init__(self, h5py: Any, numpy: Any, file: Any) -> None:
        super().__init__(h5py, numpy, file)
        self._left = _MAX_STREAMED
        self._origin: tuple[int, ...] = ()

    def _object(self, item: Any, place: str, depth: int) -> Leaves:
        yield Part(names=_names(place), place=place)
        yield from super()._object(item, place, depth)

    def _link(self, group: Any, name: str, place: str, depth: int) -> Leaves:
        if not isinstance(group.get(name, getlink=True), self._h5py.HardLink):
            yield Part(names=_names(place), place=place)
        yield from super()._link(group, name, place, depth)

    def _dataset(self, item: Any, place: str) -> Leaves:
        size = 0 if item.shape is None else item.size * max(1, item.dtype.itemsize)
        if size <= _SLAB or item.external or item.is_virtual:
            yield from super()._dataset(item, place)
            return
        self._left -= size
        if self._left < 0:
            raise Beyond(f"it holds more than {_MAX_STREAMED >> 30} GiB of values")
        yield f"{place}, form", Tree(value=f"{' x '.join(map(str, item.shape))} {item.dtype}")
        for origin, slab in _slabs(item.shape, _SLAB // max(1, item.dtype.itemsize)):
            yield Part(names=_names(place), start=origin, place=place)
            values = self._tried(functools.partial(item.__getitem__, slab), place)
            self._origin = origin
            yield from self._values(
                self._numpy.asarray(values, dtype=item.dtype), item.dtype, place
            )
            self._origin = ()

    def _values(
        self, values: Any, dtype: Any, place: str, kind: type[Tree] | None = None
    ) -> Leaves:
        for item in super()._values(values, dtype, place, kind):
            yield self._moved(item, place) if self._origin else item

    def _moved(self, item: tuple[str, Leaf] | Part, place: str) -> tuple[str, Leaf] | Part:
        if isinstance(item, Part):
            return item
        where, leaf = item
        if isinstance(leaf, Array) and len(leaf.shape) == len(self._origin):
            return where, dataclasses.replace(leaf, origin=self._origin)
        if isinstance(leaf, Texts) and len(leaf.shape) == 1:
            return where, dataclasses.replace(leaf, first=self._origin[0])
        begin = f" (from {list(self._origin)} on)"
        return where if where.endswith(begin) else where + begin, leaf


def _names(place: str) -> tuple[str, ...]:
    return tuple(place.split("/")) if place else ()


def _slabs(
    shape: tuple[int, ...], most: int
) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Boxes of at most so many elements (at least one row of the last axis's), in C's order."""
    sizes = [1] * len(shape)
    for axis in reversed(range(len(shape))):
        inside = math.prod(shape[axis + 1 :])
        sizes[axis] = max(1, min(shape[axis], most // max(1, inside)))
        if sizes[axis] < shape[axis]:
            break
    starts = [range(0, size, step) for size, step in zip(shape, sizes, strict=True)]
    for origin in itertools.product(*starts):
        ends = zip(origin, sizes, shape, strict=True)
        yield origin, tuple(slice(at, min(at + step, size)) for at, step, size in ends)
