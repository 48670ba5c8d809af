"""Details of single formats; what all have in common is in the contract suite."""

from __future__ import annotations

import base64
import gzip
import json
import struct
import zlib

import pytest

from repro.compare.choose import choose
from repro.compare.memory import MemoryOutput
from repro.model.outcome import Outcome
from repro.model.verdict import Comparison


def compare(path: str, old: bytes | str, new: bytes | str, **options: object) -> Comparison:
    one, two = (side.encode() if isinstance(side, str) else side for side in (old, new))
    chosen = choose(path, (one[:512], two[:512]), options)
    return chosen.compare(MemoryOutput(one), MemoryOutput(two), options, path=path)


@pytest.mark.parametrize(
    ("path", "head", "name"),
    [
        ("a.csv", b"x", "csv/1"), ("A.CSV", b"x", "csv/1"), ("a.json", b"{", "json/1"),
        ("a.log", b"x", "log/1"), ("a", b"hello", "text/1"), ("a", b"\0\1", "bytes/1"),
        ("a", b"%PDF-1.4", "pdf/1"), ("a.html", b"<?xml", "text/1"), ("a.dat", b"PK\3\4", "zip/1"),
        ("a.rds", b"\x1f\x8b", "rdata/1"), ("a.pkl", b"\x80\4", "pickle/1"), ("a", b"", "bytes/1"),
        ("a.svg", b"<svg", "xml/1"), ("a.yml", b"a", "yaml/1"), ("a.py", b"import", "text/1"),
    ],
)  # fmt: skip
def test_the_comparator_is_chosen_by_name_and_bytes(path: str, head: bytes, name: str) -> None:
    assert choose(path, (head, head), {}).name == name


def test_the_rule_may_name_the_kind() -> None:
    assert choose("a.dat", (b"1,2", b"1,3"), {"as": "csv"}).name == "csv/1"
    assert choose("a.dat", (b"x", b"x"), {"as": "image"}).name == "text/1"
    assert choose("a.txt", (b"x", b"x"), {"as": "nonsense"}).name == "text/1"


def test_table_numbers_and_the_first_place() -> None:
    found = compare("a.csv", "id,v\n1,2.0\n2,3.0\n", "id,v\n1,2.0\n2,3.5\n")
    assert found.numbers is not None
    assert (found.numbers.n, found.numbers.differ, found.numbers.first) == (4, 1, "row 3, column v")
    assert found.differences[0].old == "3.0"


def test_table_sorted_as_declared_is_close() -> None:
    old, new = "id,v\n1,2.5\n2,3.5\n", "id,v\n2,3.5\n1,2.5\n"
    assert compare("a.csv", old, new).outcome is Outcome.DIFFERENT
    found = compare("a.csv", old, new, sort=True)
    assert (found.outcome, found.tolerance["sort"]) == (Outcome.CLOSE, "true")
    assert compare("a.csv", old, new, key="id").outcome is Outcome.CLOSE
    assert compare("a.csv", old, new.replace("3.5", "3.6"), key="id").outcome is Outcome.DIFFERENT
    found = compare("a.csv", old, new, key="nothing")
    assert found.outcome is Outcome.DIFFERENT
    assert "key nothing is no column" in found.notes[0]


def test_a_sorted_table_keeps_its_multiplicity() -> None:
    assert compare("a.csv", "v\n1\n1\n2\n", "v\n1\n2\n2\n", sort=True).outcome is Outcome.DIFFERENT


def test_table_comments_lose_their_date() -> None:
    old, new = "# Generated on 2024-01-01\na\n1\n", "# Generated on 2025-01-01\na\n1\n"
    assert compare("a.csv", old, new).outcome is Outcome.EQUIVALENT


def test_integers_stay_exact_under_a_declared_tolerance() -> None:
    assert compare("a.csv", "n\n100\n", "n\n101\n", rtol="0.5").outcome is Outcome.DIFFERENT
    assert compare("a.csv", "n\n100\n", "n\n101.5\n", rtol="0.5").outcome is Outcome.CLOSE


def test_json_places_may_be_ignored_as_declared() -> None:
    old, new = '{"made": "x", "v": 1}', '{"made": "y", "v": 1}'
    found = compare("a.json", old, new, ignore=[r"^\$\.made$"])
    assert found.outcome is Outcome.CLOSE
    assert compare("a.json", old, '{"made": "y", "v": 2}', ignore=[r"^\$\.made$"]).outcome is (
        Outcome.DIFFERENT
    )
    assert compare("a.json", old, '{"v": 1}', ignore=[r"^\$\.made$"]).outcome is Outcome.CLOSE


def test_json_huge_numbers() -> None:
    big = "1" * 3000
    assert compare("a.json", f"[{big}]", f"[{big[:-1]}2]").outcome is Outcome.DIFFERENT
    assert compare("a.json", f"[{big}]", "[1.5]").outcome is Outcome.DIFFERENT


def test_close_in_csv_inside_gzip_names_the_place() -> None:
    old = gzip.compress(b"a\n1.5\n", mtime=0)
    new = gzip.compress(b"a\n1.75\n", mtime=0)
    found = compare("t.csv.gz", old, new)
    assert found.differences[0].where == "inside, row 2, column a"


def png(value: int, count: int = 1) -> bytes:
    rows = bytearray(100 * 101)
    for i in range(count):
        rows[101 * i + 1] = value

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    head = struct.pack(">IIBBBBB", 100, 100, 8, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(rows)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


def test_pictures_need_a_declared_share() -> None:
    assert compare("a.png", png(0), png(2)).outcome is Outcome.CLOSE
    assert compare("a.png", png(0), png(3)).outcome is Outcome.DIFFERENT
    found = compare("a.png", png(0), png(200, 5), max_pixels="0.1%")
    assert found.outcome is Outcome.CLOSE
    assert found.tolerance == {"max_pixels": "0.001", "from": "repro.yml"}
    assert compare("a.png", png(0), png(200, 11), max_pixels="0.1%").outcome is Outcome.DIFFERENT


def test_a_declared_likeness_is_measured() -> None:
    found = compare("a.png", png(0), png(200), max_pixels="1%", min_ssim="0.99")
    assert found.outcome is Outcome.CLOSE
    assert found.tolerance == {"max_pixels": "0.01", "min_ssim": "0.99", "from": "repro.yml"}
    assert any(note.startswith("SSIM 0.99") for note in found.notes)
    for bounds in ({"min_ssim": "0.9999"}, {"min_ssim": "0.9", "max_pixels": "0"}):
        assert compare("a.png", png(0), png(200), **bounds).outcome is Outcome.DIFFERENT


def test_yaml_is_never_more_than_data() -> None:
    evil = "!!python/object/apply:os.system ['true']\n"
    assert not compare("a.yml", evil, evil + "# x\n").outcome.meets(Outcome.CLOSE)
    assert compare("a.yml", "a: 1\na: 1\n", "a: 1\na: 1 #\n").outcome is Outcome.DIFFERENT


def array(header: str, data: bytes) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + data


@pytest.mark.parametrize(
    ("kind", "old", "new", "outcome"),
    [
        ("|O", b"\x80\4a", b"\x80\4b", Outcome.UNDECIDED),
        ("<U2", b"a\0\0\0b\0\0\0", b"a\0\0\0c\0\0\0", Outcome.DIFFERENT),
        (">f8", struct.pack(">d", 1.5), struct.pack(">d", 1.5 + 1e-15), Outcome.CLOSE),
        ("<c16", struct.pack("<2d", 1, 2), struct.pack("<2d", 1, 2.5), Outcome.DIFFERENT),
        ("<f2", struct.pack("<e", 1.5), struct.pack("<e", 1.501), Outcome.DIFFERENT),
        ("|b1", b"\1", b"\0", Outcome.DIFFERENT),
        ("<f4", struct.pack("<f", 1.0), struct.pack("<f", 1.0000001), Outcome.DIFFERENT),
    ],
)
def test_arrays_of_every_type(kind: str, old: bytes, new: bytes, outcome: Outcome) -> None:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': (1,), }}"
    assert compare("a.npy", array(header, old), array(header, new)).outcome is outcome


@pytest.mark.parametrize(("fortran", "place"), [("False", "[0, 2]"), ("True", "[0, 1]")])
def test_the_place_in_an_array(fortran: str, place: str) -> None:
    header = f"{{'descr': '<i4', 'fortran_order': {fortran}, 'shape': (2, 3), }}"
    values = [1, 2, 3, 4, 5, 6]
    old = array(header, struct.pack("<6i", *values))
    new = array(header, struct.pack("<6i", 1, 2, 9, 4, 5, 6))
    assert compare("a.npy", old, new).differences[0].where == place


def book(*outputs: object, **cell: object) -> str:
    code = {"cell_type": "code", "source": "x", "outputs": list(outputs), "metadata": {}, **cell}
    return json.dumps({"cells": [code], "nbformat": 4, "nbformat_minor": 5, "metadata": {}})


def stream(text: str, name: str = "stdout") -> dict[str, object]:
    return {"output_type": "stream", "name": name, "text": text}


def shown(**data: object) -> dict[str, object]:
    bundle = {key.replace("__", "/"): value for key, value in data.items()}
    return {"output_type": "display_data", "data": bundle, "metadata": {}}


def test_notebook_streams_are_joined() -> None:
    old = book(stream("a\nb\n"))
    new = book(stream("a\n"), stream("b\n"))
    assert compare("n.ipynb", old, new).outcome is Outcome.EQUIVALENT
    assert compare("n.ipynb", old, book(stream("a\n"))).outcome is Outcome.DIFFERENT


def test_notebook_tables_have_the_tolerance_of_tables() -> None:
    old = book(shown(text__html="<table><td>1.5</td><td>a</td></table>"))
    near = book(shown(text__html="<table><td>1.5000000000001</td><td>a</td></table>"))
    far = book(shown(text__html="<table><td>1.6</td><td>a</td></table>"))
    assert compare("n.ipynb", old, near).outcome is Outcome.CLOSE
    found = compare("n.ipynb", old, far)
    assert found.outcome is Outcome.DIFFERENT
    assert found.differences[0].where == "cell 1 output 1 text/html table cell 1"


def test_notebook_styler_ids_are_renamed_in_order() -> None:
    old = book(shown(text__html='<style>#T_1a2b3 td</style><table id="T_1a2b3"><td>1</td></table>'))
    new = book(shown(text__html='<style>#T_ffff0 td</style><table id="T_ffff0"><td>1</td></table>'))
    assert compare("n.ipynb", old, new).outcome is Outcome.EQUIVALENT
    wrong = book(
        shown(text__html='<style>#T_ffff0 td</style><table id="T_ffff1"><td>1</td></table>')
    )
    assert compare("n.ipynb", old, wrong).outcome is Outcome.DIFFERENT


def test_notebook_errors_compare_by_name_and_message() -> None:
    def error(value: str, trace: str) -> dict[str, object]:
        return {"output_type": "error", "ename": "E", "evalue": value, "traceback": [trace]}

    assert compare("n.ipynb", book(error("a", "1")), book(error("a", "2"))).outcome is (
        Outcome.EQUIVALENT
    )
    assert compare("n.ipynb", book(error("a", "1")), book(error("b", "1"))).outcome is (
        Outcome.DIFFERENT
    )


def test_notebook_run_out_of_order_is_noted() -> None:
    found = compare("n.ipynb", book(execution_count=3), book(execution_count=1))
    assert found.outcome is Outcome.EQUIVALENT
    assert "not run once from top to bottom" in found.notes[0]


def test_notebook_of_another_format_is_undecided() -> None:
    old = json.dumps({"cells": [], "nbformat": 3})
    assert compare("n.ipynb", old, old + " ").outcome is Outcome.UNDECIDED


def test_notebook_missing_mime_type_is_a_difference() -> None:
    old = book(shown(text__plain="x", image__png="aaaa"))
    assert compare("n.ipynb", old, book(shown(text__plain="x"))).outcome is Outcome.DIFFERENT


def test_pdf_streams_are_compared_without_their_filters() -> None:
    def pdf(content: bytes, filters: bytes, note: bytes = b"", parameters: bytes = b"") -> bytes:
        data = content
        for name in reversed(filters.split()):
            if name == b"/FlateDecode":
                data = zlib.compress(data)
            elif name == b"/ASCII85Decode":
                data = base64.a85encode(data) + b"~>"
            else:
                data = data.hex().encode() + b">"
        packed = b"/Filter [ " + filters + b" ] " if filters else b""
        head = b"1 0 obj\n<< " + note + packed + parameters + b"/Length %d >>\nstream\n" % len(data)
        return b"%PDF-1.4\n" + head + data + b"\nendstream\nendobj\ntrailer\n<<>>\n%%EOF\n"

    plain = pdf(b"BT (slope 1.5) Tj ET", b"")
    for filters in (b"/FlateDecode", b"/ASCII85Decode /FlateDecode", b"/ASCIIHexDecode"):
        same = compare("a.pdf", plain, pdf(b"BT (slope 1.5) Tj ET", filters))
        assert same.outcome is Outcome.EQUIVALENT and same.removed
        other = pdf(b"BT (slope 1.6) Tj ET", filters)
        assert compare("a.pdf", plain, other).outcome is Outcome.DIFFERENT
    packed = pdf(b"x" * 40, b"/FlateDecode", note=b"/T (a  b) ")
    for changed in (
        pdf(b"x" * 40, b"", note=b"/T (a b) "),
        pdf(b"x" * 40, b"", note=b"/T (a  b) ", parameters=b"/DecodeParms << /Predictor 12 >> "),
        pdf(b"x" * 40, b"", note=b"/U (a  b) "),
    ):
        assert compare("a.pdf", packed, changed).outcome is Outcome.DIFFERENT


def test_pdf_of_object_streams_and_xmp() -> None:
    def pdf(date: str, value: str) -> bytes:
        packed = zlib.compress(f"<< /CreationDate (D:{date}) >> << /V {value} >>".encode())
        xmp = f"<x><xmp:CreateDate>{date}</xmp:CreateDate><v>{value}</v></x>".encode()
        return (
            b"%%PDF-1.5\n1 0 obj\n<< /Type /ObjStm /Filter /FlateDecode /Length %d >>\nstream\n"
            % len(packed)
            + packed
            + b"\nendstream\nendobj\n2 0 obj\n<< /Type /Metadata /Length %d >>\nstream\n" % len(xmp)
            + xmp
            + b"\nendstream\nendobj\ntrailer\n<< /Root 1 0 R >>\nstartxref\n9\n%%EOF\n"
        )

    old = pdf("20240101", "1")
    assert compare("a.pdf", old, pdf("20250101", "1")).outcome is Outcome.EQUIVALENT
    assert compare("a.pdf", old, pdf("20250101", "2")).outcome is Outcome.DIFFERENT


def test_a_side_of_another_kind_is_different() -> None:
    found = compare("a.json", '{"a": 1}', "<html>error</html>")
    assert found.outcome is Outcome.DIFFERENT
    assert "only the rerun's file is malformed" in found.notes[0]


def test_bytes_name_the_first_place() -> None:
    found = compare("a.bin", b"\0" * 100, b"\0" * 60 + b"\1" + b"\0" * 39)
    assert found.differences[0].where == "byte 60"


def test_noise_in_a_column_of_equal_values_is_no_missing_row() -> None:
    old = "x\n" + "1.0\n" * 40
    new = "x\n1.0000000000000002\n" + "1.0\n" * 39
    assert compare("a.csv", old, new).outcome is Outcome.CLOSE
    assert compare("a.csv", new, old).outcome is Outcome.CLOSE


@pytest.mark.parametrize("row", [1, 2, 17, 39])
def test_a_row_that_is_missing_is_found_and_no_other(row: int) -> None:
    lines = ["x,y", *(f"{n},{n * n / 7!r}" for n in range(39))]
    found = compare(
        "a.csv", "\n".join(lines) + "\n", "\n".join(lines[:row] + lines[row + 1 :]) + "\n"
    )
    assert found.outcome is Outcome.DIFFERENT
    assert [item.text for item in found.differences] == ["missing", "another number of rows"]
    assert found.differences[0].old == lines[row].replace(",", ", ")
    assert "1 more or fewer rows: the rerun's table is shorter" in found.notes
