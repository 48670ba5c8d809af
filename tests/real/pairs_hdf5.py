"""HDF5 pairs, written by h5py."""

from __future__ import annotations

import io
from typing import Any

import h5py
import numpy
from comparator_pairs import Case, swap


def hdf5(
    *,
    value: float = 2.5,
    count: int = 3,
    units: str = "K",
    text: str = "beta",
    history: str = "Monday",
    target: str = "/g/x",
    compression: str | None = None,
    order: bool = False,
    block: int = 0,
    first: float = 1.5,
) -> bytes:
    """Groups, datasets of several types, links and references."""
    out = io.BytesIO()
    with h5py.File(out, "w", userblock_size=block) as file:
        file.attrs["history"] = history
        names = ["x", "n"] if not order else ["n", "x"]
        values: dict[str, Any] = {
            "x": numpy.array([[first, value], [3.5, 4.5]]),
            "n": numpy.arange(count),
        }
        for name in names:
            file.create_dataset(f"g/{name}", data=values[name], compression=compression)
        file["g/x"].attrs["units"] = units
        file["texts"] = ["alpha", text]
        file["rows"] = numpy.array(
            [(1, value, b"x")], dtype=[("i", "i4"), ("f", "f8"), ("s", "S3")]
        )
        file["link"] = h5py.SoftLink(target)
        file["again"] = file["g"]
        file["to"] = numpy.array([file["g"].ref], dtype=h5py.ref_dtype)
        lists = file.create_dataset("lists", (2,), dtype=h5py.vlen_dtype(numpy.dtype("f8")))
        lists[0], lists[1] = [1.0, value], [3.0]
    return out.getvalue()


def outside(kind: str) -> bytes:
    """A file whose values lie in another file of the reader's machine."""
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        if kind == "link":
            file["x"] = h5py.ExternalLink("/etc/passwd", "/")
        elif kind == "raw":
            file.create_dataset("x", (100,), dtype="i1", external=[("/etc/passwd", 0, 100)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout(shape=(3,), dtype="f8")
            layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(3,))
            file.create_virtual_dataset("x", layout)
        else:
            file.create_dataset("x", (1 << 40,), dtype="f8", chunks=(1 << 10,))
    return out.getvalue()


def cases() -> dict[str, Case]:
    """One case."""
    deep = io.BytesIO()
    with h5py.File(deep, "w") as file:
        file.create_group("/".join("a" * 200))
    return {
        "hdf5": Case(
            "model.h5",
            hdf5(),
            benign={
                "history": hdf5(history="Friday"),
                "compression": hdf5(compression="gzip"),
                "order of creation": hdf5(order=True),
                "user block": hdf5(block=512),
            },
            close={"rounding": hdf5(value=2.5000000000000004)},
            faults={
                "value": hdf5(value=2.51),
                "compression and value": hdf5(compression="gzip", first=1.51),
                "integers": hdf5(count=4),
                "attribute": hdf5(units="C"),
                "text": hdf5(text="gamma"),
                "link": hdf5(target="/g/n"),
                "link to another file": outside("link"),
                "values in another file": outside("raw"),
                "virtual": outside("virtual"),
                "huge": outside("huge"),
                "deep": deep.getvalue(),
                "damaged": swap(hdf5(compression="gzip"), b"x^", b"x_"),
            },
            sealed=True,
            beyond=("link to another file", "values in another file", "virtual", "huge", "deep",
                    "damaged"),
        )
    }  # fmt: skip
