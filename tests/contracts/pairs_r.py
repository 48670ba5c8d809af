"""R data, written by a small serializer of our own (R Internals, 1.8)."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct

from comparator_pairs import Case

NA = b"\x7f\xf0\x00\x00\x00\x00\x07\xa2"
NAN = b"\x7f\xf8\x00\x00\x00\x00\x00\x00"
NULL = struct.pack(">i", 254)
GLOBAL = struct.pack(">i", 253)
MISSING = struct.pack(">i", 251)


def whole(value: int) -> bytes:
    return struct.pack(">i", value)


def char(text: str | None) -> bytes:
    if text is None:
        return whole(9) + whole(-1)
    data = text.encode()
    return whole(9 | (1 << 18 if text.isascii() else 1 << 15)) + whole(len(data)) + data


def symbol(name: str) -> bytes:
    return whole(1) + char(name)


def pairs(items: dict[str, bytes], kind: int = 2) -> bytes:
    """A pairlist with tags; a tag of digits stands for none."""
    found = b""
    for number, (name, item) in enumerate(items.items()):
        tag = b"" if name.isdigit() else symbol(name)
        found += whole((kind if number == 0 else 2) | (0x400 if tag else 0)) + tag + item
    return found + NULL


def flags(kind: int, attributes: dict[str, bytes] | None) -> bytes:
    return whole(
        kind | (0x200 if attributes else 0) | (0x100 if "class" in (attributes or {}) else 0)
    )


def vector(kind: int, count: int, body: bytes, attributes: dict[str, bytes] | None = None) -> bytes:
    after = pairs(attributes) if attributes else b""
    return flags(kind, attributes) + whole(count) + body + after


def doubles(*values: float | bytes, **attributes: bytes) -> bytes:
    body = b"".join(v if isinstance(v, bytes) else struct.pack(">d", v) for v in values)
    return vector(14, len(values), body, attributes)


def ints(*values: int, **attributes: bytes) -> bytes:
    return vector(13, len(values), struct.pack(f">{len(values)}i", *values), attributes)


def texts(*values: str | None, **attributes: bytes) -> bytes:
    return vector(16, len(values), b"".join(map(char, values)), attributes)


def listed(items: dict[str, bytes], **attributes: bytes) -> bytes:
    named = {"names": texts(*items), **attributes}
    return vector(19, len(items), b"".join(items.values()), named)


def closure(body: bytes, environment: bytes = GLOBAL, source: bytes = b"") -> bytes:
    head = flags(3, {"srcref": source} if source else None)
    head = whole(struct.unpack(">i", head)[0] | 0x400)
    return (
        head
        + (pairs({"srcref": source}) if source else b"")
        + environment
        + (pairs({"x": MISSING}) + body)
    )


def environment(items: dict[str, bytes]) -> bytes:
    return whole(4) + whole(0) + GLOBAL + pairs(items) + NULL + NULL


def compact(first: int, count: int) -> bytes:
    info = pairs({"1": symbol("compact_intseq"), "2": symbol("base"), "3": ints(13)})
    return whole(238) + info + doubles(float(count), float(first), 1.0) + NULL


def rds(item: bytes, *, version: int = 3, writer: int = 0x040202, head: bytes = b"") -> bytes:
    native = whole(5) + b"UTF-8" if version == 3 else b""
    return head + b"X\n" + whole(version) + whole(writer) + whole(0x020300) + native + item


def call(value: float) -> bytes:
    """``x * value`` as a call, in the form that byte code holds it (tag, first, rest)."""
    return pairs({"1": symbol("*"), "2": symbol("x"), "3": doubles(value)}, 6)


def compiled(value: float) -> bytes:
    def cell(kind: int, first: bytes, rest: bytes) -> bytes:
        return whole(kind) + NULL + first + rest

    third = cell(2, whole(14) + doubles(value), whole(254) + NULL)
    second = cell(2, whole(1) + symbol("x"), third)
    first = whole(1) + symbol("*") + second
    return whole(21) + whole(1) + ints(12, 0) + whole(1) + whole(6) + NULL + first


def frame(
    a: tuple[float | bytes, ...] = (1.5, 2.5, NA),
    s: tuple[str | None, ...] = ("u", None, "Zürich"),
    n: bytes = b"",
    **more: bytes,
) -> bytes:
    columns = {"a": doubles(*a), "n": n or ints(1, 2, 3), "s": texts(*s), **more}
    names = ints(-(1 << 31), -3)
    return listed(columns, **{"class": texts("data.frame"), "row.names": names})


def model(
    value: float = 2.0, *, byte_code: bool = False, source: bytes = b"", **inside: bytes
) -> bytes:
    """A function ``x * value`` whose environment holds two variables."""
    variables = {"q": doubles(3.5), "name": texts("fit"), **inside}
    body = compiled(value) if byte_code else call(value)
    return listed({"f": closure(body, environment(variables), source)})


def cases() -> dict[str, Case]:
    """A data frame, a workspace and a function."""
    base = rds(frame())
    workspace = pairs({"x": doubles(1.5, 2.5), "df": frame()})
    other = pairs({"x": doubles(1.5, 2.6), "df": frame()})
    deep = NULL
    for _ in range(200):
        deep = vector(19, 1, deep)
    return {
        "rds": Case(
            "frame.rds",
            gzip.compress(base, mtime=1),
            benign={
                "plain": base,
                "bzip2": bz2.compress(base),
                "xz": lzma.compress(base),
                "version of R": gzip.compress(rds(frame(), writer=0x040301), mtime=1),
                "version 2": gzip.compress(rds(frame(), version=2), mtime=1),
                "compact": rds(frame(n=compact(1, 3))),
            },
            close={"rounding": rds(frame((1.5, 2.5000000000000004, NA)))},
            faults={
                "value": rds(frame((1.5, 2.51, NA))),
                "NA is not NaN": rds(frame((1.5, 2.5, NAN))),
                "missing text": rds(frame(s=("u", "NA", "Zürich"))),
                "text": rds(frame(s=("u", None, "Zurich"))),
                "integer": rds(frame(n=ints(1, 2, 4))),
                "compact": rds(frame(n=compact(2, 3))),
                "factor": rds(frame(n=ints(1, 2, 3, levels=texts("a", "b", "c")))),
                "column": rds(frame(z=ints(1, 2, 3))),
                "class": rds(listed({"a": doubles(1.5)}, **{"class": texts("tbl")})),
                "long": rds(whole(14) + whole(1 << 30)),
                "huge sequence": rds(frame(n=compact(1, 1 << 30))),
                "deep": rds(deep),
                "garbage after": gzip.compress(base + b"x"),
                "ascii": b"A\n3\n262658\n",
                "loose reference": rds(whole(255 | 9 << 8)),
            },
            beyond=("huge sequence", "deep", "ascii"),
        ),
        "rdata": Case(
            "all.RData",
            gzip.compress(rds(workspace, head=b"RDX3\n"), mtime=1),
            benign={
                "version": rds(workspace, head=b"RDX2\n", version=2),
                "compression": lzma.compress(rds(workspace, head=b"RDX3\n")),
            },
            faults={
                "value": rds(other, head=b"RDX3\n"),
                "name": rds(pairs({"y": doubles(1.5, 2.5), "df": frame()}), head=b"RDX3\n"),
                "one less": rds(pairs({"x": doubles(1.5, 2.5)}), head=b"RDX3\n"),
            },
        ),
        "r model": Case(
            "model.rds",
            rds(model()),
            benign={
                "byte code": rds(model(byte_code=True)),
                "source": rds(model(source=ints(1, 2, 3))),
                "order of variables": rds(
                    listed(
                        {
                            "f": closure(
                                call(2.0), environment({"name": texts("fit"), "q": doubles(3.5)})
                            )
                        }
                    )
                ),
            },
            close={"rounding": rds(model(2.0000000000000004))},
            faults={
                "constant": rds(model(2.1)),
                "compiled constant": rds(model(2.1, byte_code=True)),
                "in the environment": rds(model(q=doubles(3.6))),
                "more in the environment": rds(model(r=doubles(3.5))),
                "source and constant": rds(model(2.1, source=ints(1))),
            },
        ),
    }
