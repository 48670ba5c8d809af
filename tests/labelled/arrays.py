"""npy and npz by NumPy, tensors by safetensors and in PyTorch's form, pickles and joblib."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterator
from typing import Any

from labelled.pair import Pair, group
from labelled.writers import library, npy


def grid(seed: int = 5) -> Any:
    return library("numpy").random.default_rng(seed).normal(20, 4, size=(120, 80))


def with_cell(array: Any, place: tuple[int, ...], value: float) -> Any:
    copy = array.copy()
    copy[place] = value
    return copy


def variants(array: Any) -> dict[str, tuple[str, Any]]:
    """Faults that a plot of 120 x 80 values does not show, by name: cause and array."""
    numpy = library("numpy")
    swapped = array.copy()
    swapped[[3, 90]] = swapped[[90, 3]]
    return {
        "one value of 9,600": ("rounding+few", with_cell(array, (77, 5), array[77, 5] + 1e-5)),
        "one sign": ("sign", with_cell(array, (77, 5), -array[77, 5])),
        "one value missing": ("missing", with_cell(array, (77, 5), numpy.nan)),
        "another unit": ("factor", array * 100),
        "Kelvin for Celsius": ("offset", array + 273.15),
        "all signs": ("sign", -array),
        "the last row dropped": ("shape", array[:-1]),
        "transposed": ("shape+type", numpy.ascontiguousarray(array.T)),
        "single precision": ("type", array.astype("f4")),
        "rounded to one digit": ("rounded", array.round(1)),
        "another seed": ("random", grid(6)),
        "two rows swapped": ("order", swapped),
        "upside down": ("order", numpy.ascontiguousarray(array[::-1])),
        "values of single precision": ("rounding", array.astype("f4").astype("f8")),
    }


def numpy_pairs() -> Iterator[Pair]:
    numpy = library("numpy")
    array = grid()
    base = npy(array)
    faults = {name: (cause, save(value)) for name, (cause, value) in variants(array).items()}
    yield from group(
        "npy", "grid.npy", base,
        benign={"another version of the header": ("packing", versioned(array))},
        close={
            "last digits": ("rounding", npy(array * (1 + 4e-16))),
            "one last digit": ("rounding", npy(with_cell(array, (1, 1), array[1, 1] * (1 + 4e-16)))),
        },
        fault={
            **faults,
            "stored by columns": ("type", save(numpy.asfortranarray(array))),
            "cut off": ("cut", base[:-8]),
            "bytes more": ("cut", base + b"\0"),
        },
    )  # fmt: skip
    counts = numpy.arange(1000)
    yield from group(
        "npy (integers)", "n.npy", save(counts),
        fault={
            "one off by one": ("few", save(with_cell(counts, (500,), 501))),
            "32 bits": ("type", save(counts.astype("i4"))),
            "unsigned": ("type", save(counts.astype("u8"))),
            "another order": ("order", save(counts[::-1].copy())),
        },
    )  # fmt: skip
    waves = numpy.fft.fft(grid()[0])
    yield from group(
        "npy (complex)", "w.npy", save(waves),
        close={"last digits": ("rounding", save(waves * (1 + 4e-16)))},
        fault={
            "conjugated": ("sign", save(waves.conj())),
            "one value": ("few", save(with_cell(waves, (7,), waves[7] + 0.5))),
        },
    )  # fmt: skip
    flags = numpy.arange(50) % 3 == 0
    yield from group(
        "npy (booleans)",
        "b.npy",
        save(flags),
        fault={"one": ("few", save(with_cell(flags, (4,), True)))},
    )
    names = numpy.array(["alpha", "beta", "gamma"])
    yield from group(
        "npy (texts)",
        "t.npy",
        save(names),
        fault={"a letter": ("bytes", save(numpy.array(["alpha", "bety", "gamma"])))},
    )
    yield from npz_pairs(array)


def save(array: Any) -> bytes:
    out = io.BytesIO()
    library("numpy").save(out, array)
    return out.getvalue()


def versioned(array: Any) -> bytes:
    out = io.BytesIO()
    library("numpy").lib.format.write_array(out, array, version=(2, 0))
    return out.getvalue()


def npz_pairs(array: Any) -> Iterator[Pair]:
    numpy = library("numpy")

    def several(packed: bool = False, **arrays: Any) -> bytes:
        out = io.BytesIO()
        (numpy.savez_compressed if packed else numpy.savez)(out, **arrays)
        return out.getvalue()

    parts = {"x": array, "y": array[0] * 2, "n": numpy.arange(5)}
    base = several(**parts)
    yield from group(
        "npz", "model.npz", base,
        benign={
            "compressed": ("packing", several(packed=True, **parts)),
            "members in another order": ("order", several(**dict(reversed(parts.items())))),
        },
        close={"compressed, and last digits": ("rounding", several(packed=True, **{**parts, "x": array * (1 + 4e-16)}))},
        fault={
            "an array renamed": ("rows", several(**{"z": array, "y": parts["y"], "n": parts["n"]})),
            "an array missing": ("rows", several(x=array, y=parts["y"])),
            "one value": ("few", several(**{**parts, "x": with_cell(array, (0, 0), 1.0)})),
            "one value, compressed": ("few", several(packed=True, **{**parts, "x": with_cell(array, (0, 0), 1.0)})),
            "an integer": ("few", several(**{**parts, "n": numpy.array([0, 1, 2, 3, 5])})),
            "two arrays swapped": ("shape", several(**{**parts, "x": parts["y"], "y": array})),
            "cut off": ("cut", base[:-100]),
        },
    )  # fmt: skip


def tensor_pairs() -> Iterator[Pair]:
    numpy, tensors = library("numpy"), library("safetensors.numpy")
    weights = {"layer.0.weight": grid().astype("f4"), "layer.0.bias": numpy.arange(80, dtype="f4")}

    def saved(meta: str = "pt", **changes: Any) -> bytes:
        found = {**weights, **{name.replace("__", "."): value for name, value in changes.items()}}
        return bytes(tensors.save(found, metadata={"format": meta}))

    heavy = weights["layer.0.weight"]
    base = saved()
    yield from group(
        "safetensors", "model.safetensors", base,
        close={"last digits": ("rounding", saved_close(saved, weights))},
        fault={
            "one weight": ("few", saved(layer__0__weight=with_cell(heavy, (9, 9), 0.0))),
            "half precision": ("type", saved(layer__0__weight=heavy.astype("f2"))),
            "another seed": ("random", saved(layer__0__weight=grid(8).astype("f4"))),
            "a tensor more": ("rows", saved(extra=numpy.zeros(1, dtype="f4"))),
            "cut off": ("cut", base[:-4]),
        },
    )  # fmt: skip
    base = torch_file(heavy)
    yield from group(
        "pt", "model.pt", base,
        benign={"another name of the folder": ("order", torch_file(heavy, folder="best"))},
        fault={
            "one weight": ("few", torch_file(with_cell(heavy, (9, 9), 0.0))),
            "another seed": ("random", torch_file(grid(8).astype("f4"))),
            "the epoch": ("few", torch_file(heavy, epoch=11)),
            "cut off": ("cut", base[:-40]),
        },
    )  # fmt: skip


def saved_close(saved: Any, weights: Any) -> bytes:
    """One bias a step of binary32 away, where that is below rtol: never, so a value of 1e-13."""
    numpy = library("numpy")
    bias = weights["layer.0.bias"].copy()
    bias[0] = numpy.float32(1e-13)
    return bytes(saved(layer__0__bias=bias))


def torch_file(weights: Any, epoch: int = 10, folder: str = "archive") -> bytes:
    """What torch.save writes (zip form), made by pickletools' own opcodes and no torch."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{folder}/data.pkl", torch_pickle(weights, epoch))
        archive.writestr(f"{folder}/byteorder", b"little")
        archive.writestr(f"{folder}/data/0", weights.tobytes())
        archive.writestr(f"{folder}/version", b"3\n")
    return out.getvalue()


def torch_pickle(weights: Any, epoch: int) -> bytes:
    rows, columns = weights.shape

    def text(value: str) -> bytes:
        return b"X" + len(value).to_bytes(4, "little") + value.encode()

    def whole(value: int) -> bytes:
        return b"J" + value.to_bytes(4, "little", signed=True)

    storage = (
        b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
        + whole(weights.size) + b"tQ"
    )  # fmt: skip
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + whole(0)
        + b"(" + whole(rows) + whole(columns) + b"t(" + whole(columns) + whole(1) + b"t"
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )  # fmt: skip
    return b"\x80\x02}(" + text("weight") + tensor + text("epoch") + whole(epoch) + b"u."


class Strange:
    """An object of a class of one's own, as analyses pickle them."""

    def __init__(self, slope: float) -> None:
        self.slope = slope
        self.names = ["a", "b"]


def pickle_pairs() -> Iterator[Pair]:
    numpy = library("numpy")
    array = grid()
    said = {"x": array, "names": ["a", "b"], "n": 3, "model": Strange(1.5), "set": {"p", "q", "r"}}

    def dumped(protocol: int = 4, **changes: Any) -> bytes:
        return pickle.dumps({**said, **changes}, protocol=protocol)

    base = dumped()
    yield from group(
        "pickle", "fit.pkl", base,
        benign={
            "another protocol": ("packing", dumped(5)),
            "an old protocol": ("packing", dumped(3)),
            "keys in another order": ("order", pickle.dumps(dict(reversed(said.items())), protocol=4)),
        },
        close={"last digits": ("rounding", dumped(x=array * (1 + 4e-16)))},
        fault={
            "one value": ("few", dumped(x=with_cell(array, (3, 3), 0.5))),
            "one sign": ("sign", dumped(x=with_cell(array, (3, 3), -array[3, 3]))),
            "another seed": ("random", dumped(x=grid(9))),
            "a name": ("text", dumped(names=["a", "c"])),
            "names in another order": ("order+text", dumped(names=["b", "a"])),
            "n": ("few", dumped(n=4)),
            "a field of an object": ("few", dumped(model=Strange(1.6))),
            "another type": ("type", dumped(x=array.astype("f4"))),
            "a key more": ("rows+few", dumped(z=1)),
            "cut off": ("cut", base[:-20]),
        },
    )  # fmt: skip
    joblib = library("joblib")

    def dump(value: Any, compress: int = 0) -> bytes:
        out = io.BytesIO()
        joblib.dump(value, out, compress=compress)
        return out.getvalue()

    model = {"coef": array, "n": 4, "classes": numpy.array([1, 2])}
    yield from group(
        "joblib", "model.joblib", dump(model),
        benign={"compressed": ("packing", dump(model, compress=3))},
        close={"last digits": ("rounding", dump({**model, "coef": array * (1 + 4e-16)}))},
        fault={
            "one coefficient": ("few", dump({**model, "coef": with_cell(array, (0, 7), 3.0)})),
            "one coefficient, compressed": ("few", dump({**model, "coef": with_cell(array, (0, 7), 3.0)}, 3)),
            "n": ("few", dump({**model, "n": 5})),
            "classes": ("few", dump({**model, "classes": numpy.array([1, 3])})),
            "another seed": ("random", dump({**model, "coef": grid(10)})),
        },
    )  # fmt: skip


def pairs() -> Iterator[Pair]:
    for found in (numpy_pairs, tensor_pairs, pickle_pairs):
        yield from found()
