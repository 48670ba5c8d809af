"""Parquet, Feather and Arrow by pyarrow: the schema, and every column as leaves."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import mmap
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from repro.compare.arrays import Array
from repro.compare.base import Beyond, Malformed
from repro.compare.contents import Blob, Leaf, Texts, Tree
from repro.compare.wire import Part

EXTRA = "tables"
_MAX_DEPTH = 20
_FEATHER_ONE = b"FEA1"
# Rows of a part of a large file: as many as both sides have by their number of columns.
_MOST_ROWS, _FEWEST_ROWS, _CELLS = 1 << 15, 64, 1 << 20


def start() -> Callable[[int, bool], Callable[[], Iterable[tuple[str, Leaf] | Part]]]:
    """Load the library, and use it once: what it loads late cannot be loaded after the lock."""
    modules = {
        name: importlib.import_module(f"pyarrow.{name}".rstrip("."))
        for name in ("", "parquet", "feather", "ipc", "compute")
    }
    reader = _Reader(modules)
    for data in reader.samples():
        list(reader.leaves(data))
        list(reader.parts(data))
    return lambda fd, in_parts: lambda: reader.read(fd, in_parts)


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

    def read(self, fd: int, in_parts: bool) -> Iterator[tuple[str, Leaf] | Part]:
        """The leaves of the descriptor's file, whole or some rows after the other."""
        if in_parts:
            # Mapped, as Arrow reads other files by threads, which the lock leaves none.
            yield from self.parts(mmap.mmap(fd, 0, prot=mmap.PROT_READ))
        else:
            with os.fdopen(fd, "rb") as stream:
                data = stream.read()
            yield from self.leaves(data)

    def leaves(self, data: bytes) -> Iterator[tuple[str, Leaf]]:
        """The schema's leaves, then each column's."""
        with self._failures():
            table = self._table(data)
            table.validate()
        yield "rows", Tree(value=table.num_rows)
        yield from self._schema(table.schema)
        yield from self._columns(table)

    def parts(self, data: Any) -> Iterator[tuple[str, Leaf] | Part]:
        """The schema, then the columns of some rows at a time: as many for equal schemas."""
        with self._failures():
            schema, rows, batches = self._batches(data)
        yield Part(names=("schema",), place="schema")
        yield from self._schema(schema)
        if rows is not None:
            yield "rows", Tree(value=rows)
        step = max(_FEWEST_ROWS, min(_MOST_ROWS, _CELLS // max(1, len(schema))))
        done = 0
        for table in self._even(schema, batches, step):
            yield Part(names=("values",), start=(done,), place="values")
            for place, leaf in self._columns(table):
                yield _moved(place, leaf, done)
            done += table.num_rows
        if rows is None:
            yield Part(names=("values", "rows"), place="rows")
            yield "rows", Tree(value=done)

    def _even(self, schema: Any, batches: Iterator[Any], step: int) -> Iterator[Any]:
        """Tables of ``step`` rows, whatever the rows of a batch."""
        waiting: list[Any] = []
        count = 0
        while True:
            with self._failures():
                batch = next(batches, None)
                if batch is None:
                    break
                batch.validate()
            while batch.num_rows:
                taken = batch.slice(0, step - count)
                batch = batch.slice(taken.num_rows)
                waiting.append(taken)
                count += taken.num_rows
                if count == step:
                    yield self._pa.Table.from_batches(waiting, schema)
                    waiting, count = [], 0
        if waiting:
            yield self._pa.Table.from_batches(waiting, schema)

    def _batches(self, data: Any) -> tuple[Any, int | None, Iterator[Any]]:
        """The schema, the number of rows where it is known, and the rows."""
        source, head = self._pa.BufferReader(self._pa.py_buffer(data)), data[:8]
        if head.startswith(b"PAR1"):
            file = self._modules["parquet"].ParquetFile(source, pre_buffer=False)
            batches = file.iter_batches(batch_size=_MOST_ROWS, use_threads=False)
            return file.schema_arrow, file.metadata.num_rows, iter(batches)
        if head.startswith(_FEATHER_ONE):
            table = self._modules["feather"].read_table(source, use_threads=False)
            return table.schema, table.num_rows, iter(table.to_batches())
        ipc = self._modules["ipc"]
        options = ipc.IpcReadOptions(use_threads=False)
        if head.startswith(b"ARROW1"):
            reader = ipc.open_file(source, options=options)
            numbers = range(reader.num_record_batches)
            return reader.schema, None, (reader.get_batch(number) for number in numbers)
        reader = ipc.open_stream(source, options=options)
        return reader.schema, None, iter(reader)

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        pa = self._pa
        try:
            yield
        except (pa.ArrowNotImplementedError, pa.ArrowMemoryError) as error:
            raise Beyond(f"Arrow does not read it: {str(error)[:200]}") from None
        except (pa.ArrowException, OSError, ValueError) as error:
            if "launch" in str(error):  # a thread, which the lock refuses: not the file's fault
                raise Beyond(f"Arrow does not read it: {str(error)[:200]}") from None
            raise Malformed(f"Arrow cannot read it: {str(error)[:200]}") from None

    def _schema(self, schema: Any) -> Iterator[tuple[str, Leaf]]:
        yield "columns", Texts(values=tuple(schema.names))
        yield from self._metadata(schema)
        for number, field in enumerate(schema):
            yield f"{_place(schema, number)}, type", Texts(values=(str(field.type),))

    def _columns(self, table: Any) -> Iterator[tuple[str, Leaf]]:
        for number in range(table.num_columns):
            place = _place(table.schema, number)
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


def _place(schema: Any, number: int) -> str:
    name = schema.names[number]
    return f"column {number} {name}" if schema.names.count(name) > 1 else f"column {name}"


def _moved(place: str, leaf: Leaf, first: int) -> tuple[str, Leaf]:
    """A column's leaf, told that it begins with row ``first``."""
    if ", values" in place:
        # The elements of lists, of which there are as many as the rows before had.
        return f"{place} (rows from {first} on)", leaf
    if isinstance(leaf, Array):
        return place, dataclasses.replace(leaf, origin=(first,))
    return place, dataclasses.replace(leaf, first=first) if isinstance(leaf, Texts) else leaf


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
