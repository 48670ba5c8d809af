"""NetCDF classic, MAT-files, FITS and NIfTI, written by small writers of our own."""

from __future__ import annotations

import struct
import zlib

from comparator_pairs import Case, swap


def padded(data: bytes, step: int = 4, fill: bytes = b"\0") -> bytes:
    return data + fill * (-len(data) % step)


def nc_name(text: str) -> bytes:
    return struct.pack(">i", len(text)) + padded(text.encode())


def nc_attributes(items: dict[str, str | float]) -> bytes:
    if not items:
        return bytes(8)
    found = struct.pack(">ii", 12, len(items))
    for name, value in items.items():
        if isinstance(value, str):
            body = struct.pack(">ii", 2, len(value)) + padded(value.encode())
        else:
            body = struct.pack(">iid", 6, 1, value)
        found += nc_name(name) + body
    return found


def netcdf(
    *,
    temperature: tuple[float, ...] = (1.5, 2.5, 3.5, 4.5),
    counts: tuple[int, ...] = (1, 2),
    history: str = "made on Monday",
    units: str = "K",
    scale: float = 0.5,
    version: int = 1,
    gap: int = 0,
) -> bytes:
    """A record variable ``temp(t, y)`` of doubles, one ``n(t)`` of shorts, one fixed ``y(y)``."""
    offset = ">i" if version == 1 else ">q"
    dimensions = struct.pack(">ii", 10, 2) + nc_name("t") + bytes(4) + nc_name("y") + b"\0\0\0\2"

    def header(begin: tuple[int, int, int]) -> bytes:
        def variable(name: str, dims: tuple[int, ...], kind: int, size: int, at: int,
                     attributes: dict[str, str | float]) -> bytes:  # fmt: skip
            head = nc_name(name) + struct.pack(f">i{len(dims)}i", len(dims), *dims)
            return (
                head
                + nc_attributes(attributes)
                + struct.pack(">ii", kind, size)
                + struct.pack(offset, at)
            )

        return (
            b"CDF" + bytes([version]) + struct.pack(">i", 2) + dimensions
            + nc_attributes({"title": "fit", "history": history})
            + struct.pack(">ii", 11, 3)
            + variable("y", (1,), 5, 8, begin[0], {})
            + variable("temp", (0, 1), 6, 16, begin[1], {"units": units, "scale": scale})
            + variable("n", (0,), 3, 4, begin[2], {})
        )  # fmt: skip

    size = len(header((0, 0, 0))) + gap
    head = header((size, size + 8, size + 8 + 16)) + bytes(gap)
    records = b"".join(
        struct.pack(">2d", *temperature[2 * i : 2 * i + 2]) + padded(struct.pack(">h", counts[i]))
        for i in range(2)
    )
    return head + struct.pack(">2f", 0.5, 1.5) + records


def element(kind: int, body: bytes) -> bytes:
    if 0 < len(body) <= 4:
        return struct.pack("<HH", kind, len(body)) + padded(body)
    return struct.pack("<II", kind, len(body)) + padded(body, 8)


def matrix(kind: int, name: str, shape: tuple[int, ...], body: bytes, flags: int = 0) -> bytes:
    head = element(6, struct.pack("<II", kind | flags, 0))
    head += element(5, struct.pack(f"<{len(shape)}i", *shape)) + element(1, name.encode())
    return element(14, head + body)


def mat(
    *,
    values: tuple[float, ...] = (1.5, 2.5),
    text: str = "alpha",
    inner: float = 3.0,
    field: str = "slope",
    date: str = "Mon Jan  1 10:00:00 2024",
    packed: bool = False,
    short: bool = False,
    wrong: bytes = b"",
) -> bytes:
    """Variables ``x`` (doubles), ``s`` (text), ``c`` (a cell) and ``fit`` (a structure)."""
    number = element(2, bytes([int(inner)])) if short else element(9, struct.pack("<d", inner))
    names = element(5, struct.pack("<i", 8)) + element(1, field.encode().ljust(8, b"\0"))
    doubles = element(9, struct.pack(f"<{len(values)}d", *values))
    variables = [
        matrix(6, "x", (1, len(values)), doubles),
        matrix(4, "s", (1, len(text)), element(16, text.encode())),
        matrix(
            1,
            "c",
            (1, 2),
            matrix(6, "", (1, 1), number) + matrix(8, "", (1, 1), element(1, b"\xff")),
        ),
        matrix(2, "fit", (1, 1), names + matrix(6, "", (1, 1), number)),
    ]
    if packed:
        squeezed = [zlib.compress(v) for v in variables]
        variables = [struct.pack("<II", 15, len(v)) + v for v in squeezed]
    head = f"MATLAB 5.0 MAT-file Platform: posix, Created on: {date}".encode().ljust(116)
    return head + bytes(8) + b"\0\1IM" + b"".join(variables) + wrong


def card(name: str, value: str, comment: str = "") -> bytes:
    return f"{name:8}= {value:>20}{f' / {comment}' if comment else ''}".ljust(80).encode()


def unit(cards: list[bytes], data: bytes = b"") -> bytes:
    head = padded(b"".join(cards) + b"END".ljust(80), 2880, b" ")
    return head + padded(data, 2880)


def fits(
    *,
    values: tuple[float, ...] = (1.5, 2.5, 3.5, 4.5),
    date: str = "2024-01-01T00:00:00",
    exposure: str = "300.0",
    target: str = "M31",
    names: tuple[str, ...] = ("a", "bb"),
    counts: tuple[int, ...] = (1, 2),
    lists: tuple[tuple[float, ...], ...] = ((1.5,), (2.5, 3.5)),
    seen: str = "2023-05-05",
    extra: tuple[bytes, ...] = (),
) -> bytes:
    """An image of doubles, and a table with a text, an integer and a column of arrays."""
    first = [
        card("SIMPLE", "T", "standard"), card("BITPIX", "-64"), card("NAXIS", "2"),
        card("NAXIS1", "2"), card("NAXIS2", "2"), card("DATE", f"'{date}'"),
        card("DATE-OBS", f"'{seen}'"), card("EXPTIME", exposure, "[s]"),
        card("OBJECT", f"'{target}'"), card("CHECKSUM", f"'{date[:10]}'"), *extra,
        b"HISTORY reduced with care".ljust(80),
    ]  # fmt: skip
    heap = b"".join(struct.pack(f">{len(item)}d", *item) for item in lists)
    rows, start = b"", 0
    for name, count, item in zip(names, counts, lists, strict=True):
        rows += name.encode().ljust(4) + struct.pack(">iii", count, len(item), start)
        start += 8 * len(item)
    second = [
        card("XTENSION", "'BINTABLE'"), card("BITPIX", "8"), card("NAXIS", "2"),
        card("NAXIS1", "16"), card("NAXIS2", "2"), card("PCOUNT", str(len(heap))),
        card("GCOUNT", "1"), card("TFIELDS", "3"), card("TTYPE1", "'name'"), card("TFORM1", "'4A'"),
        card("TTYPE2", "'n'"), card("TFORM2", "'1J'"), card("TTYPE3", "'list'"),
        card("TFORM3", "'1PD(2)'"),
    ]  # fmt: skip
    return unit(first, struct.pack(">4d", *values)) + unit(second, rows + heap)


def nifti(
    *, values: tuple[float, ...] = (1.5, 2.5, 3.5, 4.5), spacing: float = 2.0, unused: bytes = b""
) -> bytes:
    """A picture of 2 x 2 voxels (float32)."""
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    head[4 : 4 + len(unused)] = unused
    struct.pack_into("<8h", head, 40, 2, 2, 2, 1, 1, 1, 1, 1)
    struct.pack_into("<hh", head, 70, 16, 32)
    struct.pack_into("<8f", head, 76, 1, spacing, spacing, 1, 1, 1, 1, 1)
    struct.pack_into("<f", head, 108, 352)
    head[148:152] = b"mean"
    head[344:348] = b"n+1\0"
    return bytes(head) + struct.pack("<4f", *values)


def mat4(
    *, value: float = 2.5, text: str = "kelvin", order: str = "<", stored: int = 0, name: str = "x",
    imaginary: float | None = None,
) -> bytes:  # fmt: skip
    """Two variables of MATLAB's level 4: numbers, and a text as Octave stores it."""
    machine = 1000 if order == ">" else 0
    code = "dfihHB"[stored]
    parts = [1.5, value] if imaginary is None else [1.5, value, 0.0, imaginary]
    numbers = struct.pack(f"{order}{len(parts)}{code}", *(parts if stored < 2 else map(int, parts)))
    head = (machine + 10 * stored, 2, 1, int(imaginary is not None), len(name) + 1)
    first = struct.pack(f"{order}5i", *head) + name.encode() + b"\0" + numbers
    head = (machine + 1, 1, len(text), 0, 2)
    second = struct.pack(f"{order}5i", *head) + b"u\0"
    return first + second + struct.pack(f"{order}{len(text)}d", *map(ord, text))


def cases() -> dict[str, Case]:
    """Every case by name."""
    near = (1.5, 2.5000000000000004, 3.5, 4.5)
    off = (1.5, 2.51, 3.5, 4.5)
    return {
        "netcdf": Case(
            "field.nc",
            netcdf(),
            benign={
                "history": netcdf(history="made on Friday by nco"),
                "version": netcdf(version=2),
                "gap": netcdf(gap=64),
            },
            close={
                "rounding": netcdf(temperature=near),
                "attribute": netcdf(scale=0.5000000000000001),
            },
            faults={
                "value": netcdf(temperature=off),
                "history and value": netcdf(history="x", temperature=off),
                "last value": netcdf(temperature=(1.5, 2.5, 3.5, 4.6)),
                "integer": netcdf(counts=(1, 3)),
                "units": netcdf(units="C"),
                "scale": netcdf(scale=0.6),
                "dimension": swap(netcdf(), b"\0\0\0\1y\0\0\0\0\0\0\2", b"\0\0\0\1y\0\0\0\0\0\0\1"),
                "after the end": netcdf() + b"more",
                "far": netcdf(gap=1 << 20)[: 1 << 10],
            },
        ),
        "mat4": Case(
            "old.mat",
            mat4(),
            close={"rounding": mat4(value=2.5000000000000004)},
            faults={
                "value": mat4(value=2.51),
                "missing": mat4(value=float("nan")),
                "text": mat4(text="Kelvin"),
                "name": mat4(name="X"),
                "order": mat4(order=">"),
                "single": mat4(stored=1),
                "integers": mat4(stored=2),
                "imaginary": mat4(imaginary=1.0),
                "a variable less": mat4()[: -(22 + 6 * 8)],
                "level 5": mat(),
                "after the end": mat4() + b"more",
            },
        ),
        "mat": Case(
            "model.mat",
            mat(),
            benign={
                "date": mat(date="Fri Nov 28 01:02:03 2025"),
                "compressed": mat(packed=True),
                "short": mat(short=True),
            },
            close={"rounding": mat(values=(1.5, 2.5000000000000004))},
            faults={
                "value": mat(values=(1.5, 2.51)),
                "date and value": mat(date="Fri Nov 28 01:02:03 2025", values=(1.5, 2.51)),
                "shape": mat(values=(1.5, 2.5, 3.5)),
                "text": mat(text="alphb"),
                "inside": mat(inner=4.0),
                "inside, compressed": mat(inner=4.0, packed=True, short=True),
                "field": mat(field="slopes"),
                "garbage after": mat(wrong=b"garbage!"),
                "bomb": mat()[:128] + element(15, zlib.compress(bytes(220 << 20))),
                "object": mat(wrong=element(14, element(6, struct.pack("<II", 17, 0)))),
                "deep": mat(wrong=deep()),
            },
            beyond=("bomb", "object", "deep"),
        ),
        "fits": Case(
            "image.fits",
            fits(),
            benign={
                "date": fits(date="2025-11-30T01:02:03"),
                "spaces": swap(fits(), b"               300.0", b"300.0               "),
                "digits": fits(exposure="3.0E2"),
            },
            close={"rounding": fits(values=near), "card": fits(exposure="300.0000000001")},
            faults={
                "value": fits(values=off),
                "date and value": fits(date="2025-11-30T01:02:03", values=off),
                "day of observation": fits(seen="2023-05-06"),
                "card": fits(exposure="300.1"),
                "text": fits(target="M33"),
                "name": fits(names=("a", "b")),
                "integer": fits(counts=(1, 3)),
                "list": fits(lists=((1.5,), (2.5, 3.6))),
                "length of lists": fits(lists=((1.5, 2.5), (3.5,))),
                "card more": fits(extra=(card("GAIN", "1.5"),)),
                "card twice": fits(extra=(card("EXPTIME", "300.0"),)),
                "block more": fits() + bytes(2880),
                "far": swap(fits(), struct.pack(">ii", 2, 8), struct.pack(">ii", 2, 1 << 30)),
            },
            beyond=("card twice",),
        ),
        "nifti": Case(
            "mean.nii",
            nifti(),
            benign={"unused": nifti(unused=b"db")},
            faults={
                "value": nifti(values=off),
                "spacing": nifti(spacing=2.1),
                "text": swap(nifti(), b"mean", b"mode"),
                "longer": nifti() + bytes(4),
                "type": swap(nifti(), struct.pack("<hh", 16, 32), struct.pack("<hh", 8, 32)),
            },
        ),
    }


def deep() -> bytes:
    """A cell in a cell in a cell, 80 times."""
    found = matrix(6, "", (1, 1), element(9, struct.pack("<d", 1.0)))
    for _ in range(80):
        found = matrix(1, "", (1, 1), found)
    return found
