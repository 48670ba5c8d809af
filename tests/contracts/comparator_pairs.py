"""The labelled set: for each format a base file, benign variants and planted faults."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """``benign`` must be at least equivalent to ``base``, ``close`` exactly close, ``faults``
    never better than undecided (``different`` where the format is understood; undecided for the
    labels in ``beyond``). ``sealed`` means that each side takes a child process."""

    path: str
    base: bytes
    benign: dict[str, bytes] = field(default_factory=dict)
    close: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, bytes] = field(default_factory=dict)
    opaque: bool = False
    sealed: bool = False
    beyond: tuple[str, ...] = ()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    rows: list[bytes],
    *,
    width: int,
    colour: int = 2,
    depth: int = 8,
    filters: Callable[[int], int] = lambda row: 0,
    level: int = 6,
    text: bytes = b"",
    extra: bytes = b"",
) -> bytes:
    """A PNG from unfiltered rows, with the filter the caller picks for each."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    step = max(1, channels * depth // 8)
    raw = bytearray()
    above = bytes(len(rows[0]))
    for number, row in enumerate(rows):
        kind = filters(number)
        raw.append(kind)
        for i, value in enumerate(row):
            left = row[i - step] if i >= step else 0
            corner = above[i - step] if i >= step else 0
            up = above[i]
            estimate = left + up - corner
            order = sorted(
                ((abs(estimate - left), 0, left), (abs(estimate - up), 1, up),
                 (abs(estimate - corner), 2, corner))
            )  # fmt: skip
            guess = (0, left, up, (left + up) // 2, order[0][2])[kind]
            raw.append((value - guess) & 255)
        above = row
    head = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + extra
        + (chunk(b"tEXt", b"Date\0" + text) if text else b"")
        + chunk(b"IDAT", zlib.compress(bytes(raw), level))
        + chunk(b"IEND", b"")
    )


def gradient(change: dict[tuple[int, int], int] | None = None) -> list[bytes]:
    """40 x 30 RGB pixels; ``change`` adds to the red of (column, row)."""
    rows = []
    for y in range(30):
        row = bytearray()
        for x in range(40):
            row += bytes(((x * 6) & 255, (y * 8) & 255, ((x * y) // 5) & 255))
        rows.append(row)
    for (x, y), delta in (change or {}).items():
        rows[y][3 * x] = (rows[y][3 * x] + delta) & 255
    return [bytes(row) for row in rows]


PLOT = png(gradient(), width=40, text=b"2024-01-01")


def notebook(**change: object) -> bytes:
    values = {
        "count": 1, "stdout": "mean 3.25\n", "png": PLOT, "html": "<td>1.50</td>", "id": "a1b2c3d4",
        "source": "print(x)", "repr": "<Axes at 0x7f0011223344>", "time": "2024-01-01T00:00:00Z",
        "stderr": "", "error": "",
    }  # fmt: skip
    values.update(change)
    outputs: list[dict[str, object]] = [
        {"output_type": "stream", "name": "stdout", "text": [str(values["stdout"])]},
        {
            "output_type": "display_data",
            "metadata": {},
            "data": {
                "image/png": base64.encodebytes(values["png"]).decode(),  # type: ignore[arg-type]
                "text/plain": values["repr"],
            },
        },
        {
            "output_type": "execute_result",
            "execution_count": values["count"],
            "metadata": {},
            "data": {"text/html": f"<table><tr>{values['html']}</tr></table>", "text/plain": "x"},
        },
    ]
    if values["stderr"]:
        outputs.append({"output_type": "stream", "name": "stderr", "text": values["stderr"]})
    if values["error"]:
        outputs.append(
            {
                "output_type": "error",
                "ename": "ValueError",
                "evalue": values["error"],
                "traceback": [f"/tmp/ipykernel_{values['count']}/1.py"],
            }  # fmt: skip
        )
    cell = {
        "cell_type": "code",
        "id": values["id"],
        "execution_count": values["count"],
        "metadata": {"execution": {"iopub.execute_input": values["time"]}},
        "source": values["source"],
        "outputs": outputs,
    }
    markdown = {"cell_type": "markdown", "metadata": {}, "source": "# Title"}
    document = {"cells": [markdown, cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document).encode()


def svg(
    *, date: str = "2024-01-01T10:11:12.1", clip: str = "p0a1b2c3d4e", y: str = "17.25"
) -> bytes:
    return f"""<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">
 <metadata><rdf:RDF xmlns:dc="http://purl.org/dc/elements/1.1/"
  xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><dc:date>{date}</dc:date></rdf:RDF></metadata>
 <g id="axes_1"><path clip-path="url(#{clip})" d="M 10 20 L 30 {y}"/></g>
 <defs><clipPath id="{clip}"><rect width="5" height="6"/></clipPath></defs>
</svg>""".encode()


def pdf(*, date: str = "20240101101112", text: str = "slope 3.25", level: int = 6,
        ident: str = "00ff", compressed: bool = True) -> bytes:  # fmt: skip
    page = f"BT /F1 12 Tf ({text}) Tj ET".encode()
    body = zlib.compress(page, level) if compressed else page
    flate = b"/Filter /FlateDecode " if compressed else b""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R >>",
        b"<< " + flate + b"/Length %d >>\nstream\n" % len(body) + body + b"\nendstream",
        f"<< /CreationDate (D:{date}Z) /ModDate (D:{date}Z) /Producer (pdf \\(1\\)) >>".encode(),
    ]
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + content + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for offset in offsets:
        out += b"%010d 00000 n \n" % offset
    out += b"trailer\n<< /Size 6 /Root 1 0 R /Info 5 0 R /ID [<%s><%s>] >>\n" % (
        ident.encode(),
        ident.encode(),
    )
    out += b"startxref\n%d\n%%%%EOF\n" % start
    return bytes(out)


def zipped(members: dict[str, bytes], *, year: int = 2024, level: int = 6) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (year, 1, 2, 3, 4, 6)), data,
                             zipfile.ZIP_DEFLATED, level)  # fmt: skip
    return out.getvalue()


def npy(values: list[float], *, kind: str = "<f8", pad: int = 0, shape: str = "") -> bytes:
    text = (
        f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape or f'{len(values)},'}), }}"
    )
    header = text.ljust(117 + pad * 64) + "\n"
    codes = {"f8": "d", "f4": "f", "i8": "q", "i4": "i", "u1": "B"}
    packed = struct.pack(f"{kind[0]}{len(values)}{codes[kind[1:]]}", *values)
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode() + packed


def jpeg(*, exif: bytes = b"", scan: bytes = b"\x01\x02\x03") -> bytes:
    app1 = b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif if exif else b""
    sos = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + scan
    return b"\xff\xd8" + app1 + b"\xff\xdb\x00\x04\x00\x01" + sos + b"\xff\xd9"


TABLE = b"id,name,value\n1,alpha,0.5\n2,beta,1.25\n3,gamma,2.75\n"
REPORT = b"""Fit of the slope
Generated on 2024-01-01 10:11:12
object <Model at 0x7f0011223344> in /tmp/tmpab12cd34/run
slope = 3.25 +- 0.05, peak on 2020-03-04, half-life 3.2 s
Analysis finished in 3.21 s
"""
LOG = b"""2024-01-01 10:11:12,123 INFO start
10:11:13 loading took 1.2 s
\r 10%\r 50%\r100%
[pid 4711] value 42
"""
TREE = b'{"fit": {"slope": 3.25, "n": 12, "ok": true}, "series": [1.5, NaN, "x"], "none": null}'
YAML = b"fit:\n  slope: 3.25\n  n: 12\nlist: [1.5, two]\n"


def swap(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new, 1)


def cases() -> dict[str, Case]:
    """Every format's case by name."""
    return {
        "text": Case(
            "report.txt",
            REPORT,
            benign={
                "date": swap(REPORT, b"2024-01-01 10:11:12", b"2025-11-30 23:01:59"),
                "address": swap(REPORT, b"0x7f0011223344", b"0x7fffffff0000"),
                "temp": swap(REPORT, b"tmpab12cd34", b"tmpzz99xy00"),
                "duration": swap(REPORT, b"3.21 s", b"12.5 s"),
                "line ends": REPORT.replace(b"\n", b"\r\n"),
            },
            faults={
                "slope": swap(REPORT, b"3.25", b"3.26"),
                "peak date": swap(REPORT, b"2020-03-04", b"2020-03-05"),
                "half-life": swap(REPORT, b"3.2 s", b"3.3 s"),
                "word": swap(REPORT, b"slope =", b"slope is"),
                "line gone": REPORT.replace(b"slope = 3.25 +- 0.05, peak on", b""),
                "line added": REPORT + b"p = 0.04\n",
                "date gone": swap(REPORT, b"2024-01-01 10:11:12", b""),
            },
        ),
        "log": Case(
            "run.log",
            LOG,
            benign={
                "clock": LOG.replace(b"2024-01-01 10:11", b"2025-02-03 22:59").replace(
                    b"10:11:13", b"22:59:02"
                ),
                "took": swap(LOG, b"1.2 s", b"9.7 s"),
                "progress": swap(LOG, b" 10%\r 50%\r", b" 20%\r 40%\r 70%\r"),
                "pid": swap(LOG, b"4711", b"815"),
            },
            faults={
                "value": swap(LOG, b"value 42", b"value 43"),
                "level": swap(LOG, b"INFO", b"ERROR"),
                "end of progress": swap(LOG, b"100%", b" 90%"),
            },
        ),
        "csv": Case(
            "table.csv",
            TABLE,
            benign={
                "quotes": swap(TABLE, b"alpha", b'"alpha"'),
                "line ends": TABLE.replace(b"\n", b"\r\n"),
                "digits": swap(TABLE, b"0.5\n", b"0.50\n"),
            },
            close={"rounding": swap(TABLE, b"1.25", b"1.2500000000001")},
            faults={
                "value": swap(TABLE, b"1.25", b"1.26"),
                "last digit of an integer": swap(TABLE, b"2,beta", b"4,beta"),
                "name": swap(TABLE, b"gamma", b"gamna"),
                "row order": b"id,name,value\n2,beta,1.25\n1,alpha,0.5\n3,gamma,2.75\n",
                "column order": b"name,id,value\nalpha,1,0.5\nbeta,2,1.25\ngamma,3,2.75\n",
                "header": swap(TABLE, b"value", b"values"),
                "row gone": swap(TABLE, b"3,gamma,2.75\n", b""),
                "nan": swap(TABLE, b"1.25", b"nan"),
                "empty": swap(TABLE, b"1.25", b""),
                "sign": swap(TABLE, b"1.25", b"-1.25"),
                "zeros of a name": swap(TABLE, b"1,alpha", b"01,alpha"),
            },
        ),
        "tsv": Case(
            "table.tsv",
            TABLE.replace(b",", b"\t"),
            benign={"quotes": TABLE.replace(b",", b"\t").replace(b"alpha", b'"alpha"')},
            faults={
                "value": TABLE.replace(b",", b"\t").replace(b"2.75", b"2.76"),
                "separator": TABLE,
            },
        ),
        "json": Case(
            "fit.json",
            TREE,
            benign={
                "white space": TREE.replace(b" ", b"\n  "),
                "key order": b'{"series": [1.5, NaN, "x"], "none": null, '
                b'"fit": {"ok": true, "n": 12, "slope": 3.25}}',
                "exponent": swap(TREE, b"3.25", b"325e-2"),
                "escapes": swap(TREE, b'"x"', b'"\\u0078"'),
            },
            close={"rounding": swap(TREE, b"3.25", b"3.2500000000001")},
            faults={
                "value": swap(TREE, b"3.25", b"3.250001"),
                "integer": swap(TREE, b"12", b"13"),
                "boolean": swap(TREE, b"true", b"false"),
                "true is not 1": swap(TREE, b"true", b"1"),
                "null": swap(TREE, b"null", b"0"),
                "list order": swap(TREE, b'1.5, NaN, "x"', b'NaN, 1.5, "x"'),
                "key": swap(TREE, b'"n"', b'"m"'),
                "nan": swap(TREE, b"1.5", b"NaN"),
                "text number": swap(TREE, b"3.25", b'"3.25"'),
                "key twice": swap(TREE, b'"n": 12', b'"n": 12, "n": 12'),
            },
        ),
        "jsonl": Case(
            "rows.jsonl",
            b'{"a": 1, "b": 2.5}\n{"a": 2, "b": 3.5}\n',
            benign={"key order": b'{"b": 2.5, "a": 1}\n{"a":2,"b":3.5}\n'},
            faults={"value": b'{"a": 1, "b": 2.5}\n{"a": 2, "b": 3.6}\n'},
        ),
        "yaml": Case(
            "fit.yaml",
            YAML,
            benign={
                "style": b"# fitted\nlist:\n- 1.5\n- two\nfit: {n: 12, slope: 3.25}\n",
            },
            close={"rounding": swap(YAML, b"3.25", b"3.2500000000001")},
            faults={
                "value": swap(YAML, b"3.25", b"3.26"),
                "integer": swap(YAML, b"12", b"13"),
                "alias": YAML + b"x: &a [1]\ny: *a\n",
            },
            beyond=("alias",),
        ),
        "png": Case(
            "plot.png",
            PLOT,
            benign={
                "date": png(gradient(), width=40, text=b"2025-05-05"),
                "no date": png(gradient(), width=40),
                "level": png(gradient(), width=40, level=1),
                "filters": png(gradient(), width=40, filters=lambda row: row % 5),
                "density": png(
                    gradient(), width=40, extra=chunk(b"pHYs", b"\0\0\x0b\x13\0\0\x0b\x13\1")
                ),
            },
            close={
                "rounding": png(gradient({(3, 3): 2, (20, 20): 1}), width=40, filters=lambda r: 4),
            },
            faults={
                "one pixel": png(gradient({(10, 10): 30}), width=40),
                "three of 255": png(gradient({(30, 20): 3}), width=40, filters=lambda r: 3),
                "size": png(gradient()[:-1], width=40),
                "gamma": png(gradient(), width=40, extra=chunk(b"gAMA", b"\0\0\xb1\x8f")),
                "checksum": PLOT[:-20] + bytes([PLOT[-20] ^ 1]) + PLOT[-19:],
                "another format": b"GIF89a" + bytes(40),
            },
        ),
        "jpeg": Case(
            "photo.jpg",
            jpeg(exif=b"2024"),
            benign={"exif": jpeg(exif=b"2025"), "no exif": jpeg()},
            faults={"scan": jpeg(exif=b"2024", scan=b"\x01\x02\x04")},
            opaque=True,
        ),
        "svg": Case(
            "plot.svg",
            svg(),
            benign={
                "date": svg(date="2025-11-30T01:02:03.4"),
                "ids": svg(clip="pfedcba9876"),
                "both": svg(date="2025-11-30T01:02:03.4", clip="pfedcba9876"),
                "attributes": svg().replace(b'width="5" height="6"', b"height='6'   width='5'"),
            },
            faults={
                "point": svg(y="17.26"),
                "date and point": svg(date="2025-11-30T01:02:03.4", clip="pfedcba9876", y="17.26"),
                "element": svg().replace(b'<rect width="5" height="6"/>', b'<circle r="5"/>'),
                "loose reference": svg().replace(b"url(#p0a1b2c3d4e)", b"url(#axes_1)"),
                "entity": svg().replace(b'svg11.dtd">', b'svg11.dtd" [<!ENTITY a "b">]>'),
            },
            beyond=("entity",),
        ),
        "pdf": Case(
            "plot.pdf",
            pdf(),
            benign={
                "date": pdf(date="20251130010203"),
                "longer date": pdf(date="20251130010203+01'00'"),
                "id": pdf(ident="aabbcc"),
                "level": pdf(level=0),
            },
            faults={
                "number": pdf(text="slope 3.26"),
                "date and number": pdf(date="20251130010203", ident="ab", text="slope 3.26"),
                "plain number": pdf(compressed=False, text="slope 3.26"),
                "date on the page": pdf(text="slope 3.25 on 2024-01-02"),
                "root": pdf().replace(b"/Root 1 0 R", b"/Root 2 0 R"),
            },
        ),
        "gzip": Case(
            "table.csv.gz",
            gzip.compress(TABLE, mtime=1),
            benign={
                "mtime": gzip.compress(TABLE, mtime=2),
                "level": gzip.compress(TABLE, 1, mtime=1),
                "members": gzip.compress(TABLE[:10]) + gzip.compress(TABLE[10:]),
            },
            close={"rounding": gzip.compress(swap(TABLE, b"1.25", b"1.2500000000001"), mtime=1)},
            faults={
                "value": gzip.compress(swap(TABLE, b"1.25", b"1.26"), mtime=1),
                "garbage after": gzip.compress(TABLE, mtime=1) + b"garbage",
            },
        ),
        "bzip2": Case(
            "table.csv.bz2",
            bz2.compress(TABLE),
            benign={"level": bz2.compress(TABLE, 1)},
            faults={"value": bz2.compress(swap(TABLE, b"1.25", b"1.26"))},
        ),
        "xz": Case(
            "table.csv.xz",
            lzma.compress(TABLE),
            benign={"preset": lzma.compress(TABLE, check=lzma.CHECK_CRC32)},
            faults={"value": lzma.compress(swap(TABLE, b"1.25", b"1.26"))},
        ),
        "zip": Case(
            "results.zip",
            zipped({"a.csv": TABLE, "b.txt": REPORT}),
            benign={
                "times": zipped({"a.csv": TABLE, "b.txt": REPORT}, year=2025),
                "order": zipped({"b.txt": REPORT, "a.csv": TABLE}),
                "level": zipped({"a.csv": TABLE, "b.txt": REPORT}, level=0),
                "date inside": zipped(
                    {"a.csv": TABLE, "b.txt": REPORT.replace(b"2024-", b"2025-")}
                ),
            },
            faults={
                "value": zipped({"a.csv": swap(TABLE, b"1.25", b"1.26"), "b.txt": REPORT}),
                "member gone": zipped({"a.csv": TABLE}),
                "renamed": zipped({"a.csv": TABLE, "c.txt": REPORT}),
            },
        ),
        "npy": Case(
            "model.npy",
            npy([1.5, 2.5, float("nan"), -0.0]),
            benign={
                "padding": npy([1.5, 2.5, float("nan"), -0.0], pad=1),
                "zero": npy([1.5, 2.5, float("nan"), 0.0]),
            },
            close={"ulp": npy([1.5, 2.5000000000000004, float("nan"), -0.0])},
            faults={
                "value": npy([1.5, 2.50001, float("nan"), -0.0]),
                "nan": npy([1.5, 2.5, 1.0, -0.0]),
                "order": npy([2.5, 1.5, float("nan"), -0.0]),
                "shape": npy([1.5, 2.5, float("nan"), -0.0], shape="2, 2"),
                "type": npy([1.5, 2.5, float("nan"), -0.0], kind="<f4"),
                "integers": npy([1, 2, 3, 4], kind="<i8"),
            },
        ),
        "npz": Case(
            "model.npz",
            zipped({"x.npy": npy([1.5, 2.5]), "n.npy": npy([1, 2], kind="<i4")}),
            benign={
                "times": zipped(
                    {"x.npy": npy([1.5, 2.5]), "n.npy": npy([1, 2], kind="<i4")}, year=2025
                )
            },
            close={
                "ulp": zipped(
                    {"x.npy": npy([1.5, 2.5000000000000004]), "n.npy": npy([1, 2], kind="<i4")}
                )
            },
            faults={
                "value": zipped({"x.npy": npy([1.5, 2.6]), "n.npy": npy([1, 2], kind="<i4")}),
                "integer": zipped({"x.npy": npy([1.5, 2.5]), "n.npy": npy([1, 3], kind="<i4")}),
            },
        ),
        "notebook": Case(
            "paper.ipynb",
            notebook(),
            benign={
                "counts and times": notebook(count=7, time="2025-01-01T00:00:00Z", id="ffffffff"),
                "address": notebook(repr="<Axes at 0x7fffeeeeeeee>"),
                "figure's date": notebook(png=png(gradient(), width=40, text=b"2025-01-01")),
                "font cache": notebook(stderr="Matplotlib is building the font cache; wait.\n"),
            },
            faults={
                "stdout": notebook(stdout="mean 3.26\n"),
                "figure": notebook(png=png(gradient({(10, 10): 90}), width=40)),
                "table": notebook(html="<td>1.51</td>"),
                "source": notebook(source="print(y)"),
                "error": notebook(error="bad value"),
                "warning": notebook(stderr="Warning: overflow\n"),
                "broken figure": notebook(png=PLOT[:100]),
            },
        ),
        "raw": Case("image.bin", bytes(range(256)), faults={"byte": bytes(255) + b"\xff"}),
    }
