"""CSV and TSV: small and large, by pandas, NumPy and the csv module."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

from labelled.pair import Pair, group, numbers, replaced
from labelled.writers import library

ROWS = 20_000


def large(change: Callable[[Any], Any] | None = None, **options: Any) -> bytes:
    """A table of 20,000 rows as pandas writes it."""
    numpy, pandas = library("numpy"), library("pandas")
    chance = numpy.random.default_rng(7)
    table = pandas.DataFrame(
        {
            "id": numpy.arange(ROWS),
            "site": chance.choice(["north", "south", "east"], ROWS),
            "depth_m": chance.normal(40, 9, ROWS).round(3),
            "salinity": chance.normal(35, 1, ROWS),
            "flag": chance.integers(0, 3, ROWS),
        }
    )
    if change is not None:
        changed = change(table)
        table = table if changed is None else changed
    options.setdefault("index", False)
    return str(table.to_csv(**options)).encode()


def cell(row: int, column: str, change: Callable[[Any], Any]) -> Callable[[Any], None]:
    """A change of one cell."""

    def apply(table: Any) -> None:
        table.loc[row, column] = change(table.loc[row, column])

    return apply


def column(name: str, change: Callable[[Any], Any]) -> Callable[[Any], None]:
    """A change of one column."""

    def apply(table: Any) -> None:
        table[name] = change(table[name])

    return apply


def swapped_rows(table: Any) -> Any:
    order = list(range(ROWS))
    order[7], order[9000] = order[9000], order[7]
    return table.iloc[order]


def swapped_columns(table: Any) -> None:
    table[["depth_m", "salinity"]] = table[["salinity", "depth_m"]].to_numpy()


def redrawn(table: Any) -> None:
    table["salinity"] = library("numpy").random.default_rng(8).normal(35, 1, ROWS)


def pandas_pairs() -> Iterator[Pair]:
    base = large()
    yield from group(
        "csv", "stations.csv", base,
        benign={
            "line endings of Windows": ("endings", large(lineterminator="\r\n")),
            "every text quoted": ("format", large(quoting=csv.QUOTE_NONNUMERIC)),
            "every cell quoted": ("format", large(quoting=csv.QUOTE_ALL)),
            "numbers with 17 digits": ("format", large(float_format="%.17g")),
            "numbers with an exponent": ("format", large(float_format="%.16e")),
            "integers as floats": ("format", large(column("flag", lambda c: c.astype(float)))),
        },
        close={
            "the last digit of every number": (
                "rounding", large(column("salinity", lambda c: c * (1 + 2**-50)))),
            "the last digit of one": (
                "rounding", large(cell(19_999, "salinity", lambda v: v * (1 + 2**-51)))),
        },
        fault={
            "one cell": ("few", large(cell(12_345, "depth_m", lambda v: v + 0.001))),
            "one cell by a thousandth of a thousandth": (
                "few", large(cell(12_345, "salinity", lambda v: v * (1 + 3e-6)))),
            "the sign of one cell": ("sign", large(cell(4_321, "salinity", lambda v: -v))),
            "the sign of a column": ("sign", large(column("depth_m", lambda c: -c))),
            "metres to centimetres": ("factor", large(column("depth_m", lambda c: c * 100))),
            "Kelvin to Celsius": ("offset", large(column("salinity", lambda c: c - 273.15))),
            "one integer off by one": ("few", large(cell(9, "id", lambda v: v + 1))),
            "one flag": ("few", large(cell(15_000, "flag", lambda v: v + 1))),
            "one text": ("text", large(cell(77, "site", lambda v: "West"))),
            "a space more in one text": ("text", large(cell(77, "site", lambda v: v + " "))),
            "the case of one text": ("text", large(cell(77, "site", lambda v: v.title()))),
            "the last row dropped": ("cut", large(lambda t: t.iloc[:-1])),
            "the first row dropped": ("rows", large(lambda t: t.iloc[1:])),
            "a row in the middle dropped": ("rows", large(lambda t: t.drop(10_000))),
            "a row twice": ("rows", large(lambda t: t.loc[[*range(50), *range(49, ROWS)]])),
            "two rows swapped": ("order", large(swapped_rows)),
            "sorted by another column": ("order", large(lambda t: t.sort_values("depth_m"))),
            "the values of two columns swapped": ("order", large(swapped_columns)),
            "two columns in another order": (
                "order+text", large(lambda t: t[["id", "site", "salinity", "depth_m", "flag"]])),
            "the unit in a column's name": (
                "text", large(lambda t: t.rename(columns={"depth_m": "depth_cm"}))),
            "a column dropped": ("rows", large(lambda t: t.drop(columns="flag"))),
            "a column more": ("rows", large(lambda t: t, index=True)),
            "single precision": (
                "rounding", large(column("salinity", lambda c: c.astype("float32").astype(float)))),
            "rounded to four digits": (
                "rounded", large(column("salinity", lambda c: c.round(1)))),
            "another seed": ("random", large(redrawn)),
            "a missing value": ("missing", large(cell(55, "salinity", lambda v: float("nan")))),
            "a missing value as -9999": ("few", large(cell(55, "salinity", lambda v: -9999.0))),
            "decimal commas": ("separator", large(decimal=",", sep=";")),
            "cut off in the middle": ("cut", base[: len(base) // 2]),
            "the last line end missing": ("cut", base[:-1]),
            "empty": ("cut", b""),
        },
    )  # fmt: skip


def small_pairs() -> Iterator[Pair]:
    values = numbers(12, seed=3)

    def text(rows: list[list[Any]], delimiter: str = "\t", head: str = "") -> bytes:
        out = io.StringIO()
        out.write(head)
        csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(rows)
        return out.getvalue().encode()

    rows: list[list[Any]] = [["gene", "count", "p"]]
    rows += [[f"g{n}", n * 3, f"{abs(v) / 1000:.6g}"] for n, v in enumerate(values)]
    for path, sep in (("genes.tsv", "\t"), ("genes.csv", ";"), ("genes.tab", "\t")):
        base = text(rows, sep)
        yield from group(
            f"tsv ({path[-3:]}, {sep!r})", path, base,
            benign={"line endings": ("endings", base.replace(b"\n", b"\r\n"))},
            fault={
                "a p-value": ("few", replaced(base, rows[4][2].encode(), b"0.9")),
                "a gene's name": ("text", replaced(base, b"g11", b"G11")),
                "the last row": ("cut", text(rows[:-1], sep)),
                "another separator": ("separator", text(rows, ",")),
                "a count": ("few", replaced(base, f"{sep}33{sep}".encode(), f"{sep}34{sep}".encode())),
            },
        )  # fmt: skip
    dated = text(rows, ",", "# created on 2024-05-01 10:00:00 by fit 1.2\n")
    yield from group(
        "csv (comments)", "genes.csv", dated,
        benign={"the time in a comment": (
            "time", text(rows, ",", "# created on 2025-11-24 11:59:59 by fit 1.2\n"))},
        fault={
            "the version in a comment": (
                "text+number+date", text(rows, ",", "# created on 2024-05-01 10:00:00 by fit 1.3\n")),
            "a time that is data": (
                "rows+cut", text([*rows, ["2024-05-01 10:00:00", 1, 2]], ",",
                "# created on 2024-05-01 10:00:00 by fit 1.2\n")),
        },
    )  # fmt: skip
    names = text([["name", "t"], ["a", "2024-05-01 10:00:00"], ["b", "2024-05-01 11:00:00"]], ",")
    yield from group(
        "csv (times as data)", "times.csv", names,
        fault={"a time in a cell": ("text+date", replaced(names, b"11:00:00", b"11:00:01"))},
    )  # fmt: skip
    order = text([rows[0], *rows[:0:-1]], ",")
    yield from group(
        "csv (declared order)", "genes.csv", text(rows, ","), options={"sort": "true"},
        close={"rows in another order": ("order+declared", order)},
        fault={
            "another order and a value": ("few", order.replace(rows[4][2].encode(), b"0.9")),
            "another order and a row less": ("rows+cut", text([rows[0], *rows[:1:-1]], ",")),
        },
    )  # fmt: skip
    saved = matrix()
    yield from group(
        "csv (numpy.savetxt)", "matrix.csv", saved,
        benign={"fewer zeros": ("format", matrix(fmt="%.18g"))},
        fault={
            "transposed": ("rows+shape", matrix(transpose=True)),
            "one value": ("few", matrix(change=0.25)),
        },
    )  # fmt: skip


def matrix(fmt: str = "%.18e", transpose: bool = False, change: float = 0.0) -> bytes:
    numpy = library("numpy")
    values = numpy.random.default_rng(2).normal(size=(30, 8))
    values[20, 3] += change
    out = io.BytesIO()
    numpy.savetxt(out, values.T if transpose else values, fmt=fmt, delimiter=",")
    return out.getvalue()


def pairs() -> Iterator[Pair]:
    yield from pandas_pairs()
    yield from small_pairs()
