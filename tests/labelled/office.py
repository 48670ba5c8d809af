"""Workbooks (openpyxl, odfpy), documents (python-docx), notebooks (nbformat), archives."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Iterator
from typing import Any

from labelled.pair import Pair, changed, group, numbers
from labelled.pictures import plot
from labelled.writers import library

Rows = list[list[Any]]
ROWS: Rows = [
    ["site", "rain_mm", "n"],
    *([f"s{i}", v, i] for i, v in enumerate(numbers(30, seed=8))),
]


def workbook(
    rows: Rows,
    *,
    day: int = 1,
    sheet: str = "data",
    bold: bool = False,
    formula: str = "=SUM(B2:B31)",
    hidden: bool = False,
) -> bytes:
    openpyxl, datetime = library("openpyxl"), library("datetime")
    book = openpyxl.Workbook()
    page = book.active
    page.title = sheet
    for row in rows:
        page.append(row)
    page["E1"] = formula
    if bold:
        page["A1"].font = library("openpyxl.styles").Font(bold=True)
    if hidden:
        page.row_dimensions[3].hidden = True
    second = book.create_sheet("notes")
    second["A1"] = "made for the paper"
    book.properties.created = datetime.datetime(2024, 5, day)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def ods(rows: Rows, name: str = "data") -> bytes:
    document = library("odf.opendocument").OpenDocumentSpreadsheet()
    table, text = library("odf.table"), library("odf.text")
    page = table.Table(name=name)
    for row in rows:
        line = table.TableRow()
        for value in row:
            if isinstance(value, str):
                cell = table.TableCell(valuetype="string")
                cell.addElement(text.P(text=value))
            else:
                cell = table.TableCell(valuetype="float", value=repr(value))
                cell.addElement(text.P(text=f"{value:g}"))
            line.addElement(cell)
        page.addElement(line)
    document.spreadsheet.addElement(page)
    out = io.BytesIO()
    document.write(out)
    return out.getvalue()


def cell(row: int, column: int, value: Any) -> Rows:
    return changed(ROWS, row, changed(ROWS[row], column, value))


def sheet_pairs() -> Iterator[Pair]:
    value = ROWS[20][1]
    faults: dict[str, tuple[str, Rows]] = {
        "one cell of ninety": ("few", cell(20, 1, value + 0.01)),
        "one sign": ("sign", cell(20, 1, -value)),
        "a text": ("text", cell(20, 0, "S19")),
        "an integer": ("few", cell(20, 2, 20)),
        "a unit": ("text", cell(0, 1, "rain_cm")),
        "millimetres in centimetres": ("factor", [ROWS[0], *([a, v / 10, n] for a, v, n in ROWS[1:])]),
        "the last row dropped": ("rows", ROWS[:-1]),
        "a number as text": ("type+cell+kind", cell(20, 1, str(value))),
        "rounded": ("rounded", [ROWS[0], *([a, round(v, 1), n] for a, v, n in ROWS[1:])]),
        "another seed": ("random", [ROWS[0], *([a, v, n] for (a, _, n), v in zip(ROWS[1:], numbers(30, seed=9), strict=True))]),
        "rows in another order": ("order", [ROWS[0], *ROWS[:0:-1]]),
        "an empty cell": ("cell", cell(20, 1, None)),
    }  # fmt: skip
    base = workbook(ROWS)
    yield from group(
        "xlsx", "rain.xlsx", base,
        benign={"another date": ("time", workbook(ROWS, day=2)), "bold type": ("metadata", workbook(ROWS, bold=True))},
        close={"a last digit": ("rounding", workbook(cell(20, 1, value * (1 + 4e-16)), day=2))},
        fault={
            **{name: (cause, workbook(rows, day=2)) for name, (cause, rows) in faults.items()},
            "a formula": ("cell+text", workbook(ROWS, day=2, formula="=SUM(B2:B30)")),
            "the name of a sheet": ("rows+text+member", workbook(ROWS, sheet="Data")),
            "cut off": ("cut", base[:-50]),
        },
    )  # fmt: skip
    simple = ROWS
    yield from group(
        "ods", "rain.ods", ods(simple),
        close={"a last digit": ("rounding", ods(cell(20, 1, value * (1 + 4e-16))))},
        fault={
            name: (cause, ods(rows)) for name, (cause, rows) in faults.items() if name != "an empty cell"
        } | {"the name of a sheet": ("rows+text+member", ods(simple, "Data"))},
    )  # fmt: skip


def document(lines: list[str], day: int = 1, table: str = "1.5") -> bytes:
    docx, datetime = library("docx"), library("datetime")
    found = docx.Document()
    for line in lines:
        found.add_paragraph(line)
    grid = found.add_table(rows=1, cols=2)
    grid.cell(0, 0).text, grid.cell(0, 1).text = "slope", table
    found.core_properties.modified = datetime.datetime(2024, 5, day)
    out = io.BytesIO()
    found.save(out)
    return out.getvalue()


def document_pairs() -> Iterator[Pair]:
    lines = ["Results", "The slope was 1.5 (p = 0.012).", "We found no effect."]
    yield from group(
        "docx", "results.docx", document(lines),
        benign={"another date": ("time", document(lines, day=2))},
        fault={
            "a p-value": ("textnumber+few", document([lines[0], lines[1].replace("0.012", "0.021"), lines[2]], day=2)),
            "a word": ("text", document([*lines[:2], "We found an effect."], day=2)),
            "a sentence less": ("rows", document(lines[:2], day=2)),
            "a cell of a table": ("textnumber+few", document(lines, day=2, table="1.6")),
        },
    )  # fmt: skip


def notebook(
    *, count: int = 1, text: str = "slope 1.2346\n", seconds: str = "1.2", figure: bytes = b"", html: str = "3.25",
    source: str = "fit(data)", split: bool = False, error: bool = False, address: str = "0x7f2a4c0d11f0",
    extra: bool = False, wall: str = "120 ms", swap: bool = False, kernel: str = "3.11.1",
) -> bytes:  # fmt: skip
    nbformat = library("nbformat")
    new = nbformat.v4
    streams = [text, f"finished in {seconds} s\n", f"<Fit at {address}>\n", f"Wall time: {wall}\n"]
    if swap:
        streams[0], streams[2] = streams[2], streams[0]
    said = streams if split else ["".join(streams)]
    outputs = [new.new_output("stream", name="stdout", text=part) for part in said]
    outputs.append(new.new_output("display_data", data={
        "text/html": f"<table><tr><th>slope</th><td>{html}</td></tr></table>", "text/plain": "   slope"}))  # fmt: skip
    if figure:
        outputs.append(
            new.new_output("display_data", data={"image/png": base64.b64encode(figure).decode()})
        )
    if error:
        outputs.append(new.new_output("error", ename="ValueError", evalue="no", traceback=["x"]))
    cells = [
        new.new_markdown_cell("# Fit", id="m"),
        new.new_code_cell(source, outputs=outputs, execution_count=count, id="c"),
    ]
    if extra:
        cells.append(new.new_code_cell("plot()", id="e"))
    book = new.new_notebook(cells=cells)
    book.metadata["language_info"] = {"name": "python", "version": kernel}
    return str(nbformat.writes(book)).encode()


def notebook_pairs() -> Iterator[Pair]:
    figure = plot("png", dpi=50)
    base = notebook(figure=figure)
    noise: dict[str, Any] = {
        "count": 7,
        "seconds": "3.4",
        "address": "0x7f99aa0b1260",
        "wall": "95 ms",
    }
    yield from group(
        "notebook", "paper.ipynb", base,
        benign={
            "another count": ("numbering", notebook(figure=figure, count=9)),
            "timings and addresses": ("time+host", notebook(figure=figure, **noise)),
            "the stream in pieces": ("format", notebook(figure=figure, split=True)),
            "another Python": ("metadata", notebook(figure=figure, kernel="3.12.4")),
            "the figure packed otherwise": ("packing+metadata", notebook(figure=plot("png", dpi=50, compress=1))),
        },
        close={"the last digit of a table": ("rounding", notebook(figure=figure, html="3.2500000000000004"))},
        fault={
            "a number in the text": ("textnumber", notebook(figure=figure, text="slope 1.2364\n", **noise)),
            "a cell of a table": ("few", notebook(figure=figure, html="3.26", **noise)),
            "a point of the figure": ("place", notebook(figure=plot("png", dpi=50, moved=0.6), **noise)),
            "a label of the figure": ("place", notebook(figure=plot("png", dpi=50, ylabel="yield (T)"), **noise)),
            "no figure": ("rows+member", notebook(**noise)),
            "an error": ("rows+text", notebook(figure=figure, error=True, **noise)),
            "another source": ("text", notebook(figure=figure, source="fit(date)", **noise)),
            "a cell more": ("rows", notebook(figure=figure, extra=True, **noise)),
            "two lines swapped": ("order", notebook(figure=figure, swap=True)),
            "a sign": ("text", notebook(figure=figure, text="slope -1.2346\n", **noise)),
            "cut off": ("cut", base[:-40]),
        },
    )  # fmt: skip


def zipped(members: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED, day: int = 1) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 5, day, 0, 0, 0)), data, method)
    return out.getvalue()


def tarred(
    members: dict[str, bytes],
    *,
    time: int = 0,
    owner: str = "a",
    mode: str = "w",
    format: int = tarfile.PAX_FORMAT,
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=format) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uname = len(data), time, owner
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def archive_pairs() -> Iterator[Pair]:
    table = "".join(f"{n},{v!r}\n" for n, v in enumerate(numbers(25, seed=2))).encode()
    other = table.replace(b"24,", b"25,")
    members = {
        "data/fit.csv": table,
        "log.txt": b"finished in 3.2 s\nslope 1.5\n",
        "blob.bin": bytes(range(256)),
    }
    moved = dict(reversed(members.items()))
    faults: dict[str, tuple[str, dict[str, bytes]]] = {
        "a number inside": ("few", {**members, "data/fit.csv": other}),
        "a line of text inside": (
            "textnumber",
            {**members, "log.txt": members["log.txt"].replace(b"1.5", b"1.6")},
        ),
        "a byte inside": ("bytes", {**members, "blob.bin": bytes(reversed(range(256)))}),
        "a member less": ("rows+member", {k: v for k, v in members.items() if k != "log.txt"}),
        "a member renamed": (
            "rows+member",
            {("Log.txt" if k == "log.txt" else k): v for k, v in members.items()},
        ),
        "a member empty": ("cut", {**members, "data/fit.csv": b""}),
    }
    timed = {**members, "log.txt": b"finished in 9.9 s\nslope 1.5\n"}
    base = zipped(members)
    yield from group(
        "zip", "out.zip", base,
        benign={
            "other times": ("time", zipped(members, day=2)),
            "not packed": ("packing", zipped(members, method=zipfile.ZIP_STORED)),
            "another order": ("order", zipped(moved)),
            "a timing inside": ("time", zipped(timed, day=3)),
        },
        fault={**{name: (cause, zipped(m, day=2)) for name, (cause, m) in faults.items()}, "cut off": ("cut", base[:-30])},
    )  # fmt: skip
    base = tarred(members)
    yield from group(
        "tar", "out.tar", base,
        benign={
            "other times and owners": ("time+metadata", tarred(members, time=5, owner="b")),
            "another order": ("order", tarred(moved)),
            "another kind of tar": ("order+metadata", tarred(members, format=tarfile.GNU_FORMAT, time=9)),
        },
        fault={**{name: (cause, tarred(m, time=9)) for name, (cause, m) in faults.items()}, "cut off": ("cut", base[:-6000])},
    )  # fmt: skip
    yield from group(
        "tar.gz", "out.tar.gz", gzip.compress(base, mtime=1),
        benign={"another time and strength": ("time+packing", gzip.compress(tarred(members, time=4), 1, mtime=9))},
        fault={"a number inside": ("few", gzip.compress(tarred(faults["a number inside"][1], time=4), mtime=9))},
    )  # fmt: skip
    for suffix, pack, again in (
        ("gz", lambda d: gzip.compress(d, mtime=1), lambda d: gzip.compress(d, 1, mtime=2)),
        ("bz2", bz2.compress, lambda d: bz2.compress(d, 1)),
        ("xz", lzma.compress, lambda d: lzma.compress(d, preset=1)),
    ):
        yield from group(
            suffix, f"fit.csv.{suffix}", pack(table * 400),
            benign={"packed otherwise": ("packing", again(table * 400))},
            fault={"a number inside": ("few", again(table * 399 + other)),
                   "cut off": ("cut", pack(table * 400)[:-20])},
        )  # fmt: skip
    yield from group(
        "unknown", "state.xyz", bytes(range(256)) * 20,
        fault={
            "one byte": ("bytes", bytes(range(256)) * 19 + bytes(256)),
            "longer": ("bytes+cut", bytes(range(256)) * 20 + b"\0"),
            "empty": ("cut", b""),
        },
    )  # fmt: skip


def pairs() -> Iterator[Pair]:
    for found in (sheet_pairs, document_pairs, notebook_pairs, archive_pairs):
        yield from found()
