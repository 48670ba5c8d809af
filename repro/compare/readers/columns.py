"""Parquet, Feather and Arrow by pyarrow: the schema, and every column as leaves."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from repro.compare.arrays import Array
from repro.compare.base import Beyond, Malformed
from repro.compare.contents import Blob, Leaf, Texts, Tree

EXTRA = "tables"
_MAX_DEPTH = 20
_FEATHER_ONE = b"FEA1"


def start(fd: int) -> Callable[[], Iterable[tuple[str, Leaf]]]:
    """Load the library, and use it once: what it loads late cannot be loaded after the lock."""
    modules = {
        name: importlib.import_module(f"pyarrow.{name}".rstrip("."))
        for name in ("", "parquet", "feather", "ipc", "compute")
    }
    reader = _Reader(modules)
    for data in reader.samples():
        list(reader.leaves(data))
    return lambda: reader.read(fd)


class _Reader:
    """One file of columns; no threads, as the lock leaves none."""

    def __init__(self, modules: dict[str, Any]) -> None:
        self._pa = modules[""]
        self._modules = modules
        self._pa.set_cpu_count(1)

    def samples(self) -> Iterator[bytes]:
        """A small file of each kind."""
        pa = self._pa
        table = pa.table(
            {
                "a": [1.5, None], "b": ["x", None], "c": [True, False], "d": [[1], None],
                "e": [{"f": 1}, None], "g": pa.array(["x", "x"]).dictionary_encode(),
                "h": pa.array([0, 1], pa.timestamp("us")), "i": [b"x", None],
                "j": pa.array([1, 2], pa.decimal128(5, 2)),
            }
        )  # fmt: skip
        for compression in ("none", "snappy", "gzip", "zstd", "brotli", "lz4"):
            if compression == "none" or pa.Codec.is_available(compression):
                out = pa.BufferOutputStream()
                self._modules["parquet"].write_table(table, out, compression=compression)
                yield out.getvalue().to_pybytes()
        for compression in ("uncompressed", "lz4", "zstd"):
            out = pa.BufferOutputStream()
            self._modules["feather"].write_feather(table, out, compression=compression)
            yield out.getvalue().to_pybytes()

    def read(self, fd: int) -> Iterator[tuple[str, Leaf]]:
        """The leaves of the descriptor's file."""
        with os.fdopen(fd, "rb") as stream:
            data = stream.read()
        return self.leaves(data)

    def leaves(self, data: bytes) -> Iterator[tuple[str, Leaf]]:
        """The schema's leaves, then each column's."""
        pa = self._pa
        try:
            table = self._table(data)
            table.validate()
        except (pa.ArrowNotImplementedError, pa.ArrowMemoryError) as error:
            raise Beyond(f"Arrow does not read it: {str(error)[:200]}") from None
        except (pa.ArrowException, OSError, ValueError) as error:
            raise Malformed(f"Arrow cannot read it: {str(error)[:200]}") from None
        yield "rows", Tree(value=table.num_rows)
        yield "columns", Texts(values=tuple(table.column_names))
        yield from self._metadata(table.schema)
        for number, field in enumerate(table.schema):
            place = f"column {field.name}"
            if table.column_names.count(field.name) > 1:
                place = f"column {number} {field.name}"
            yield f"{place}, type", Texts(values=(str(field.type),))
            yield from self._column(table.column(number).combine_chunks(), place, 0)

    def _table(self, data: bytes) -> Any:
        buffer = self._pa.BufferReader(self._pa.py_buffer(data))
        if data.startswith(b"PAR1"):
            file = self._modules["parquet"].ParquetFile(buffer, pre_buffer=False)
            return file.read(use_threads=False)
        if data.startswith(_FEATHER_ONE):
            return self._modules["feather"].read_table(buffer, use_threads=False)
        ipc = self._modules["ipc"]
        options = ipc.IpcReadOptions(use_threads=False)
        opened = ipc.open_file if data.startswith(b"ARROW1") else ipc.open_stream
        with opened(buffer, options=options) as reader:
            return reader.read_all()

    def _metadata(self, schema: Any) -> Iterator[tuple[str, Leaf]]:
        for key, value in (schema.metadata or {}).items():
            name, text = (part.decode("utf-8", "surrogateescape") for part in (key, value))
            if name == "pandas":
                yield from _pandas(text)
            elif name != "ARROW:schema":
                yield f"metadata {name}", Tree(value=text)

    def _column(self, column: Any, place: str, depth: int) -> Iterator[tuple[str, Leaf]]:
        pa, types = self._pa, self._pa.types
        if depth > _MAX_DEPTH:
            raise Beyond(f"nested more than {_MAX_DEPTH} deep")
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks() if column.num_chunks else pa.array([], column.type)
        if types.is_null(column.type):
            return
        if column.null_count:
            mask = self._modules["compute"].is_null(column).cast(pa.uint8())
            yield f"{place}, missing", self._numbers(mask)
        if isinstance(column, pa.ExtensionArray):
            yield from self._column(column.storage, place, depth + 1)
        elif types.is_dictionary(column.type):
            yield from self._column(column.dictionary_decode(), place, depth + 1)
        elif types.is_struct(column.type):
            for number, field in enumerate(column.type):
                yield from self._column(
                    column.flatten()[number], f"{place}.{field.name}", depth + 1
                )
        elif types.is_map(column.type) or types.is_nested(column.type):
            yield from self._lists(column, place, depth)
        else:
            yield place, self._plain(column)

    def _lists(self, column: Any, place: str, depth: int) -> Iterator[tuple[str, Leaf]]:
        types = self._pa.types
        known = (types.is_list, types.is_large_list, types.is_fixed_size_list)
        if not any(test(column.type) for test in known):
            raise Beyond(f"a column of type {column.type} is not read")
        lengths = self._modules["compute"].list_value_length(column)
        yield f"{place}, lengths", self._numbers(self._filled(lengths.cast(self._pa.int64())))
        yield from self._column(column.flatten(), f"{place}, values", depth + 1)

    def _plain(self, column: Any) -> Leaf:
        pa, types = self._pa, self._pa.types
        kind = column.type
        if types.is_boolean(kind):
            return self._numbers(self._filled(column.cast(pa.uint8())))
        if types.is_integer(kind) or types.is_floating(kind):
            return self._numbers(self._filled(column))
        if types.is_temporal(kind) and not types.is_interval(kind):
            wide = pa.int32() if kind.bit_width == 32 else pa.int64()
            return self._numbers(self._filled(column.view(wide)))
        values = column.to_pylist()
        if any(isinstance(value, bytes) for value in values):
            sizes = ",".join("" if value is None else str(len(value)) for value in values)
            return Blob(data=sizes.encode() + b"\n" + b"".join(value or b"" for value in values))
        if types.is_decimal(kind) or types.is_string(kind) or types.is_large_string(kind) or (
            values and all(value is None or isinstance(value, str) for value in values)
        ):  # fmt: skip
            return Texts(values=tuple(None if value is None else str(value) for value in values))
        if not values:
            return Texts(values=())
        raise Beyond(f"a column of type {kind} is not read")

    def _filled(self, column: Any) -> Any:
        """Zero where a value is missing: what lies there in the file means nothing."""
        return column.fill_null(0) if column.null_count else column

    def _numbers(self, column: Any) -> Array:
        kind = column.type
        width = kind.bit_width // 8
        letter = "f" if self._pa.types.is_floating(kind) else "i" if str(kind)[0] == "i" else "u"
        buffer = column.buffers()[1]
        start = column.offset * width
        data = (
            b""
            if buffer is None
            else bytes(memoryview(buffer)[start : start + len(column) * width])
        )
        return Array(type=f"<{letter}{width}", shape=(len(column),), data=data)


def _pandas(text: str) -> Iterator[tuple[str, Leaf]]:
    """What pandas keeps beside the columns; which versions wrote it stands on its own."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        yield "metadata pandas", Tree(value=text)
        return
    written = {name: document.pop(name, None) for name in ("creator", "pandas_version")}
    yield "written by", Tree(value=written)
    yield "metadata pandas", Tree(value=document)
