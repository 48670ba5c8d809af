"""Pickles, joblib's and PyTorch's files and safetensors, without any of these libraries."""

from __future__ import annotations

import gzip
import json
import pickle
import pickletools
import struct
import zlib

from comparator_pairs import Case, zipped

NONE, TRUE, FALSE = b"N", b"\x88", b"\x89"


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def whole(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def raw(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def group(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def table(items: dict[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def dtype(code: str = "f8", order: str = "<") -> bytes:
    made = name("numpy", "dtype") + group(text(code), FALSE, TRUE) + b"R"
    state = (whole(3), text(order), NONE, NONE, NONE, whole(-1), whole(-1), whole(0))
    return made + group(*state) + b"b"


def array(*values: float, core: str = "core", shape: tuple[int, ...] = ()) -> bytes:
    data = struct.pack(f"<{len(values)}d", *values)
    made = name(f"numpy.{core}.multiarray", "_reconstruct")
    made += group(name("numpy", "ndarray"), group(whole(0)), raw(b"b")) + b"R"
    sizes = group(*map(whole, shape or (len(values),)))
    return made + group(whole(1), sizes, dtype(), FALSE, raw(data)) + b"b"


def wrapped(*values: float, padding: int = 5) -> bytes:
    """An array as joblib writes it: a wrapper, and after it the bytes."""
    data = struct.pack(f"<{len(values)}d", *values)
    state = {
        "subclass": name("numpy", "ndarray"), "shape": group(whole(len(values))),
        "order": text("C"), "dtype": dtype(), "allow_mmap": TRUE,
        "numpy_array_alignment_bytes": whole(16),
    }  # fmt: skip
    made = name("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81"
    return made + table(state) + b"b" + bytes([padding]) + b"\xff" * padding + data


def stream(body: bytes) -> bytes:
    return b"\x80\x03" + body + b"."


def built(*, slope: float = 1.5, data: tuple[float, ...] = (1.5, 2.5), label: str = "fit",
          core: str = "core", cls: str = "Model", shape: tuple[int, ...] = ()) -> bytes:  # fmt: skip
    """An object with two attributes, one of them an array."""
    state = {"label": text(label), "x": array(*data, core=core, shape=shape),
             "slope": b"G" + struct.pack(">d", slope)}  # fmt: skip
    return stream(name("lib.models", cls) + b")\x81" + table(state) + b"b")


def plain(protocol: int = 4, *, slope: float = 1.5, tags: tuple[str, ...] = ("a", "b"), n: int = 3,
          order: bool = True) -> bytes:  # fmt: skip
    """A dict of most plain kinds."""
    values = {
        "slope": slope, "n": n, "text": "fit", "tags": set(tags), "list": [1, 2.5, None],
        "numbers": [0.5, slope], "pair": (1, ("x", slope)), "flag": True, "bytes": b"\x00\xff",
    }  # fmt: skip
    items = sorted(values.items(), reverse=not order)
    return pickle.dumps(dict(items), protocol=protocol)


def shuffled(data: bytes) -> bytes:
    """The same pickle with memo numbers that start elsewhere."""
    out = b""
    position = 0
    for opcode, argument, place in pickletools.genops(data):
        out += data[position:place] if place > position else b""
        position = place
        if opcode.name == "BINPUT":
            out += b"r" + struct.pack("<I", int(str(argument)) + 500)
            position = place + 2
        elif opcode.name == "BINGET":
            out += b"j" + struct.pack("<I", int(str(argument)) + 500)
            position = place + 2
    return out + data[position:]


def tensor(
    key: str, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], size: int
) -> bytes:
    storage = group(
        text("storage"), name("torch", "FloatStorage"), text(key), text("cpu"), whole(size)
    )
    hooks = name("collections", "OrderedDict") + b")R"
    parts = (storage + b"Q", whole(offset), group(*map(whole, shape)), group(*map(whole, stride)),
             FALSE, hooks)  # fmt: skip
    return name("torch._utils", "_rebuild_tensor_v2") + group(*parts) + b"R"


def torch(*, values: tuple[float, ...] = (0.5, 1.5, 2.5, 3.5), top: str = "archive",
          keys: tuple[str, str] = ("0", "1"), ident: bytes = b"123", turned: bool = False,
          bias: float = 0.25) -> bytes:  # fmt: skip
    """Two tensors, the first of them 2 x 2."""
    stride = (1, 2) if turned else (2, 1)
    body = table(
        {"w": tensor(keys[0], 0, (2, 2), stride, 4), "b": tensor(keys[1], 0, (1,), (1,), 1)}
    )
    return zipped(
        {
            f"{top}/data.pkl": b"\x80\x02" + body + b".",
            f"{top}/byteorder": b"little",
            f"{top}/data/{keys[0]}": struct.pack("<4f", *values),
            f"{top}/data/{keys[1]}": struct.pack("<f", bias),
            f"{top}/version": b"3\n",
            f"{top}/.data/serialization_id": ident,
        }
    )


def safetensors(*, values: tuple[float, ...] = (1.5, 2.5), order: bool = True, kind: str = "F64",
                more: bytes = b"", space: str = "", gap: int = 0) -> bytes:  # fmt: skip
    """Two tensors in either order."""
    bodies = {"w": struct.pack("<2d", *values), "n": struct.pack("<3i", 1, 2, 3)}
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    body = b""
    for key in ("w", "n") if order else ("n", "w"):
        start = len(body) + gap
        body += bytes(gap) + bodies[key]
        shape, name_ = ([2], kind) if key == "w" else ([3], "I32")
        header[key] = {"dtype": name_, "shape": shape, "data_offsets": [start, len(body)]}
    packed = (json.dumps(header) + space).encode()
    return struct.pack("<Q", len(packed)) + packed + body + more


def cases() -> dict[str, Case]:
    """Every case by name."""
    near = 1.5000000000000002
    # Each step makes a pair of what was there before: 2 to the power of 30 texts.
    laughs = text("x") + b"2\x86" * 30
    job = stream(table({"x": wrapped(1.5, 2.5), "n": whole(3)}))
    return {
        "pickle": Case(
            "values.pkl",
            plain(),
            benign={
                "protocol 5": plain(5),
                "protocol 2": plain(2),
                "protocol 0": plain(0),
                "order of keys": plain(order=False),
                "memo": shuffled(plain(3)),
            },
            close={"rounding": plain(slope=near)},
            faults={
                "value": plain(slope=1.51),
                "protocol and value": plain(2, slope=1.51),
                "integer": plain(n=4),
                "element of a set": plain(tags=("a", "c")),
                "element more": plain(tags=("a", "b", "c")),
                "a call": b"\x80\x04cos\nmkdir\n(X\x01\0\0\0atR.",
                "garbage after": plain() + b"x",
                "twice": plain() + plain(),
                "no end": plain()[:-1],
                "loose memo": b"\x80\x04h\x09.",
                "shared tuples": b"\x80\x04" + laughs + b".",
                "deep": b"\x80\x04" + b"]" * 500 + b"a" * 499 + b".",
            },
            beyond=("shared tuples", "deep"),
        ),
        "model": Case(
            "model.pickle",
            built(),
            benign={"numpy 2": built(core="_core")},
            close={
                "rounding": built(data=(near, 2.5)),
                "attribute": built(slope=near),
            },
            faults={
                "array": built(data=(1.5, 2.6)),
                "attribute": built(slope=1.6),
                "text": built(label="fat"),
                "class": built(cls="Other"),
                "shape": built(data=(1.5, 2.5), shape=(1, 2)),
                "length": built(shape=(3,)),
            },
        ),
        "joblib": Case(
            "model.joblib",
            job,
            benign={
                "compressed": zlib.compress(job),
                "gzip": gzip.compress(job),
                "padding": stream(table({"x": wrapped(1.5, 2.5, padding=9), "n": whole(3)})),
            },
            close={"rounding": stream(table({"x": wrapped(near, 2.5), "n": whole(3)}))},
            faults={
                "value": stream(table({"x": wrapped(1.6, 2.5), "n": whole(3)})),
                "after the array": stream(table({"x": wrapped(1.5, 2.5), "n": whole(4)})),
                "longer": stream(table({"x": wrapped(1.5, 2.5, 3.5), "n": whole(3)})),
            },
        ),
        "torch": Case(
            "weights.pt",
            torch(),
            benign={
                "name of the folder": torch(top="weights"),
                "names of storages": torch(keys=("1", "0")),
                "id": torch(ident=b"456"),
                "another stride": torch(values=(0.5, 2.5, 1.5, 3.5), turned=True),
            },
            faults={
                "value": torch(values=(0.5, 1.5, 2.5, 3.6)),
                "id and value": torch(ident=b"456", bias=0.26),
                "transposed": torch(turned=True),
            },
        ),
        "safetensors": Case(
            "weights.safetensors",
            safetensors(),
            benign={"order": safetensors(order=False), "space": safetensors(space="   ")},
            close={"rounding": safetensors(values=(near, 2.5))},
            faults={
                "value": safetensors(values=(1.6, 2.5)),
                "type": safetensors(kind="I64"),
                "more": safetensors(more=b"x"),
                "gap": safetensors(gap=8),
                "header": struct.pack("<Q", 1 << 60) + b"{}",
            },
        ),
    }
