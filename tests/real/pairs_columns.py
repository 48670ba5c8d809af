"""Parquet, Feather and Arrow pairs, written by pyarrow."""

from __future__ import annotations

import datetime
import decimal
import json
from typing import Any

import pyarrow
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet
from comparator_pairs import Case

LETTERS = ["alpha", None, "gamma"]


def table(**changes: Any) -> pyarrow.Table:
    """Columns of most types; ``metadata`` is pandas' own."""
    changes = dict(changes)
    writer = changes.pop("writer", "2.0")
    columns: dict[str, Any] = {
        "x": [1.5, None, 3.5],
        "n": pyarrow.array([1, 2, 3], pyarrow.int32()),
        "s": LETTERS,
        "b": [True, None, False],
        "t": [datetime.datetime(2024, 1, 2), None, datetime.datetime(2024, 1, 3)],
        "l": [[1.5, 2.5], [], None],
        "st": [{"u": 1.5}, None, {"u": 2.5}],
        "d": [decimal.Decimal("1.25"), None, decimal.Decimal("2.50")],
        "raw": [b"ab", b"c", None],
        "k": pyarrow.array(["u", "v", "u"]).dictionary_encode(),
    }
    columns.update(changes)
    document = {"columns": ["x"], "creator": {"version": writer}, "pandas_version": writer}
    found = pyarrow.table({name: value for name, value in columns.items() if value is not None})
    return found.replace_schema_metadata({"pandas": json.dumps(document)})


def parquet(rows: int = 1 << 20, compression: str = "snappy", **changes: Any) -> bytes:
    out = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table(**changes), out, row_group_size=rows, compression=compression)
    return bytes(out.getvalue())


def feather(compression: str = "lz4", version: int = 2, **changes: Any) -> bytes:
    out = pyarrow.BufferOutputStream()
    pyarrow.feather.write_feather(table(**changes), out, compression=compression, version=version)
    return bytes(out.getvalue())


def faults(write: Any) -> dict[str, bytes]:
    return {
        "value": write(x=[1.51, None, 3.5]),
        "missing": write(x=[1.5, 0.0, 3.5]),
        "missing elsewhere": write(x=[None, 1.5, 3.5]),
        "nan": write(x=[1.5, None, float("nan")]),
        "integer": write(n=pyarrow.array([1, 2, 4], pyarrow.int32())),
        "type": write(n=pyarrow.array([1, 2, 3], pyarrow.int64())),
        "text": write(s=["alpha", None, "gamna"]),
        "empty is not missing": write(s=["alpha", "", "gamma"]),
        "boolean": write(b=[True, None, True]),
        "date": write(t=[datetime.datetime(2024, 1, 2, 1), None, datetime.datetime(2024, 1, 3)]),
        "list": write(l=[[1.5, 2.6], [], None]),
        "cut of lists": write(l=[[1.5], [2.5], None]),
        "missing list": write(l=[[1.5, 2.5], None, None]),
        "structure": write(st=[{"u": 1.6}, None, {"u": 2.5}]),
        "decimal": write(d=[decimal.Decimal("1.26"), None, decimal.Decimal("2.50")]),
        "bytes": write(raw=[b"a", b"bc", None]),
        "column gone": write(k=None),
        "column more": write(z=[1, 2, 3]),
        "order of rows": write(s=LETTERS[::-1]),
    }


def cases() -> dict[str, Case]:
    """One case of each kind."""
    near = [1.5, None, 3.5000000000000004]
    return {
        "parquet": Case(
            "table.parquet",
            parquet(),
            benign={
                "row groups": parquet(rows=1),
                "compression": parquet(compression="zstd"),
                "writer": parquet(writer="3.0"),
            },
            close={"rounding": parquet(x=near)},
            faults={
                **faults(parquet),
                "compression and value": parquet(compression="zstd", x=[1.51, None, 3.5]),
            },
            sealed=True,
        ),
        "feather": Case(
            "table.feather",
            feather(),
            benign={"compression": feather("zstd"), "writer": feather(writer="3.0")},
            close={"rounding": feather(x=near)},
            faults={"value": feather(x=[1.51, None, 3.5]), "text": feather(s=["a", None, "gamma"])},
            sealed=True,
        ),
    }
