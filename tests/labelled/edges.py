"""Pairs at the edges of the tolerance, in every format that holds numbers.

The same twelve numbers and one integer are written by each format's library. The first edge
is 2.0: the default rtol of 1e-9 allows 2e-9 around it; the second is 0.0 with atol 1e-12.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator

from labelled import writers
from labelled.pair import Pair, group, numbers

VALUES = [2.0, 0.0, *numbers(9, seed=4), 1e300]
Writer = Callable[[list[float], int, str], bytes]
"""Values, one integer, and noise (a date or the like that carries no result)."""

WRITERS: dict[str, tuple[str, Writer, str]] = {
    "csv": ("table.csv", writers.csv_noisy, "time"),
    "json": ("fit.json", writers.json_noisy, "time"),
    "yaml": ("fit.yaml", writers.yaml_noisy, "time"),
    "notebook": ("fit.ipynb", writers.notebook_numbers, "time"),
    "npz": ("fit.npz", writers.npz_noisy, "packing"),
    "xlsx": ("fit.xlsx", writers.xlsx_noisy, "time"),
    "hdf5": ("fit.h5", writers.hdf5_noisy, "time"),
    "netcdf3": ("fit.nc", writers.netcdf3_noisy, "time"),
    "mat5": ("fit.mat", writers.mat5_noisy, "version"),
    "fits": ("fit.fits", writers.fits_noisy, "time"),
    "parquet": ("fit.parquet", writers.parquet_noisy, "packing"),
    "sqlite": ("fit.sqlite", writers.sqlite_noisy, "packing"),
    "pickle": ("fit.pkl", writers.pickle_noisy, "packing"),
    "zip": ("fit.zip", writers.zip_noisy, "time"),
}
QUICK = ("csv", "json", "yaml", "npz", "pickle", "zip")
NO_NAN = ("sqlite", "xlsx")
"""Where NaN becomes NULL or an empty cell."""


def edges(format: str) -> Iterator[Pair]:
    """What just passes and what just does not, alone and with noise of the file around it."""
    path, write, noise = WRITERS[format]

    def varied(first: float = 2.0, second: float = 0.0, count: int = 7, when: str = "1") -> bytes:
        return write([first, second, *VALUES[2:]], count, when)

    base = varied()
    whole = "few" if format != "notebook" else "textnumber"
    nan_cause = "missing" if format not in NO_NAN else "missing+cell"
    yield from group(
        f"{format} (edges)", path, base,
        benign={"only the noise of the file": (noise + "+packing", varied(when="2"))},
        close={
            "a last digit": ("rounding", varied(2.0 * (1 + 2e-15))),
            "just inside rtol": ("rounding", varied(2.0 * (1 + 0.99e-9))),
            "just inside rtol, below": ("rounding", varied(2.0 * (1 - 0.99e-9))),
            "just inside atol": ("rounding", varied(second=0.99e-12)),
            "just inside, and noise of the file": (
                "rounding+time+packing", varied(2.0 * (1 + 0.99e-9), when="2")
            ),
        },
        fault={
            "just outside rtol": ("rounding+few", varied(2.0 * (1 + 1.02e-9))),
            "just outside rtol, below": ("rounding+few", varied(2.0 * (1 - 1.02e-9))),
            "just outside atol": ("few", varied(second=1.05e-12)),
            "just outside, and noise of the file": (
                "rounding+few+time+packing", varied(2.0 * (1 + 1.02e-9), when="2")
            ),
            "a number, and noise of the file": (
                "few+time+packing", varied(2.1, when="2")
            ),
            "the integer off by one": (whole, varied(count=8)),
            "the integer off by one, and noise": (f"{whole}+time+packing", varied(count=8, when="2")),
            "NaN beside a number": (nan_cause, varied(math.nan)),
        },
    )  # fmt: skip
    yield from group(
        f"{format} (declared)", path, base, options={"rtol": "1e-3"},
        close={"inside a declared rtol": ("rounding", varied(2.0018))},
        fault={
            "outside a declared rtol": ("few", varied(2.0022)),
            "an integer under a declared rtol": (whole, varied(count=8)),
        },
    )  # fmt: skip


def oddities() -> Iterator[Pair]:
    """NaN, infinities, the sign of zero, integers beside floats: what each format makes of them."""
    nan = [1.5, math.nan, 2.5]
    yield from group(
        "npy (oddities)", "a.npy", writers.npy(nan),
        close={"NaN on both sides, a last digit": (
            "rounding", writers.npy([1.5, math.nan, math.nextafter(2.5, 3)]))},
        fault={
            "NaN in another place": ("order", writers.npy([math.nan, 1.5, 2.5])),
            "infinity beside a large number": ("infinite", writers.npy([1.5, math.nan, math.inf])),
            "float32 for float64": ("type", writers.npy(nan, "<f4")),
            "integers for floats": ("type", writers.npy([1, 2, 3], "<i8")),
            "another byte order": ("type", writers.npy(nan, ">f8")),
        },
    )  # fmt: skip
    yield from group(
        "csv (oddities)", "a.csv", b"x,n\n0.0,3\n1e308,4\nnan,5\n",
        benign={
            "the sign of zero": ("zero", b"x,n\n-0.0,3\n1e308,4\nnan,5\n"),
            "an integer beside the same float": ("format", b"x,n\n0.0,3.0\n1e308,4\nnan,5\n"),
            "NaN in another spelling": ("format", b"x,n\n0.0,3\n1e308,4\nNaN,5\n"),
            "zeros at the end": ("format", b"x,n\n0.000,3\n1.00e308,4\nnan,5\n"),
        },
        fault={
            "an integer beside another float": ("few+rounding", b"x,n\n0.0,3.01\n1e308,4\nnan,5\n"),
            "infinity beside a large number": ("infinite", b"x,n\n0.0,3\ninf,4\nnan,5\n"),
            "an empty cell for NaN": ("missing", b"x,n\n0.0,3\n1e308,4\n,5\n"),
            "an empty cell for zero": ("missing", b"x,n\n,3\n1e308,4\nnan,5\n"),
        },
    )  # fmt: skip
    yield from group(
        "json (oddities)", "a.json", b'{"x": [0.0, 3, NaN, "3"]}',
        benign={
            "the sign of zero": ("zero", b'{"x": [-0.0, 3, NaN, "3"]}'),
            "an integer beside the same float": ("format", b'{"x": [0.0, 3.0, NaN, "3"]}'),
        },
        fault={
            "NaN beside null": ("missing", b'{"x": [0.0, 3, null, "3"]}'),
            "a number beside its text": ("kind", b'{"x": [0.0, 3, NaN, 3]}'),
            "true beside one": ("kind", b'{"x": [0.0, true, NaN, "3"]}'),
        },
    )  # fmt: skip
    big = 2**53
    yield from group(
        "json (large integers)", "a.json", json.dumps([big, 10**30]).encode(),
        fault={"off by one beyond binary64": ("few", json.dumps([big + 1, 10**30]).encode())},
    )  # fmt: skip
    yield from group(
        "csv (large integers)", "a.csv", f"id,v\n{big},{10**30}\n".encode(),
        fault={"off by one beyond binary64": ("few", f"id,v\n{big + 1},{10**30}\n".encode())},
    )  # fmt: skip


def pairs(formats: tuple[str, ...] | None = None) -> Iterator[Pair]:
    """Every edge, or those of some formats."""
    for format in formats or tuple(WRITERS):
        yield from edges(format)
    yield from oddities()
