"""Drawings of a PDF: which number or text differs, and what is no drawing."""

from __future__ import annotations

import zlib

import pytest

from repro.compare.findings import Findings
from repro.compare.formats.pdf import PdfComparator
from repro.compare.memory import MemoryOutput
from repro.compare.pdfdrawing import compare_drawings, tokens
from repro.compare.settings import read_settings
from repro.model.outcome import Outcome
from repro.model.verdict import Comparison

PAGE = b"""q 1 0 0 1 72.5 144 cm 0 0 m 10.25 -3.5 l S Q
BT /F1 12 Tf 1 0 0 1 3 4 Tm (Yield \\(kg\\)) Tj [(a) -20.5 <0041>] TJ ET % end
true"""


def compare(
    old: bytes, new: bytes, head: bytes = b"<< /Length 3 >>", **options: object
) -> Comparison | None:
    findings = Findings("pdf/1", read_settings(options))
    return findings.result("") if compare_drawings(head, old, new, "stream", findings) else None


def test_every_byte_belongs_to_a_word() -> None:
    found = tokens(PAGE)
    assert found is not None
    assert (
        b"".join(word for _, word in found)
        == b"".join(PAGE.split(b" % ")[0].split()).replace(b"Yield\\(kg\\)", b"Yield \\(kg\\)")
        + b"% endtrue"
    )


CHANGES = {
    "a point": (b"10.25 -3.5", b"10.25 -3.6", "step 4 (l)", "number differs"),
    "a sign": (b"10.25 -3.5", b"10.25 3.5", "step 4 (l)", "number differs"),
    "an integer": (b"72.5 144", b"72.5 145", "step 2 (cm)", "number differs"),
    "a size": (b"/F1 12", b"/F1 13", "step 8 (Tf)", "what is drawn differs"),
    "a letter": (b"Yield", b"Yicld", "step 10 (Tj)", "the text differs"),
    "a code": (b"<0041>", b"<0042>", "step 11 (TJ)", "the text differs"),
    "a kerning": (b"-20.5", b"-21.5", "step 11 (TJ)", "number differs"),
    "a font": (b"/F1", b"/F2", "step 8 (Tf)", "what is drawn differs"),
    "an operator": (b" S Q", b" s Q", "word 15", "another drawing"),
    "a line more": (b" S Q", b" 1 1 l S Q", "word 15", "another drawing"),
    "a text more": (b" ET", b" (x) Tj ET", "word", "other texts are drawn"),
    "a comment": (b"% end", b"% END", "", "what is drawn differs"),
    "an array's end": (b"(a) -20.5 <0041>] TJ", b"(a)] -20.5 <0041> TJ", "", ""),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_told_by_its_place(name: str) -> None:
    before, after, where, text = CHANGES[name]
    assert before in PAGE
    for pair in ((PAGE, PAGE.replace(before, after)), (PAGE.replace(before, after), PAGE)):
        found = compare(*pair)
        assert found is not None and found.outcome is Outcome.DIFFERENT
        assert where in found.differences[0].where
        assert text in found.differences[0].text


def test_a_declared_tolerance_covers_places_alone() -> None:
    moved = PAGE.replace(b"10.25 -3.5", b"10.26 -3.5")
    found = compare(PAGE, moved, rtol="0.01")
    assert found is not None and found.outcome is Outcome.CLOSE
    assert found.tolerance["from"] == "repro.yml"
    for old, new in ((b"Yield", b"Yicld"), (b"12 Tf", b"12.01 Tf")):
        worse = compare(PAGE, moved.replace(old, new), rtol="0.01")
        assert worse is not None and worse.outcome is Outcome.DIFFERENT


def test_how_numbers_and_spaces_are_written_is_named() -> None:
    found = compare(PAGE, PAGE.replace(b"10.25", b"10.250").replace(b" l S", b"\n l\nS"))
    assert found is not None and found.outcome is Outcome.EQUIVALENT
    assert found.removed == ("how numbers or spaces of a drawing are written",)


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n",
        b"BI /W 4 ID \xff\0 EI",
        b"{ 1 add }",
        b"(never ended",
        b"1..2 m",
        b"",
        b"12 13",
    ],
)
def test_what_is_no_drawing_stays_with_bytes(data: bytes) -> None:
    assert compare(data, data + b" ") is None


@pytest.mark.parametrize(
    "head",
    [
        b"<< /Subtype /Image >>",
        b"<< /Length1 3 >>",
        b"<< /FunctionType 4 >>",
        b"<< /Type /EmbeddedFile >>",
        b"<</Type/ObjStm>>",
    ],
)
def test_other_streams_stay_with_bytes(head: bytes) -> None:
    assert compare(b"1 2 m", b"1 3 m", head) is None
    assert compare(b"1 2 m", b"1 3 m", b"<< /Type /XObject /Subtype /Form >>") is not None


def document(level: int, *, also: bytes = b"", size: int | None = None) -> bytes:
    """A PDF whose stream has its length in an object of its own, as matplotlib writes it."""
    packed = zlib.compress(PAGE * 20, level)
    length = len(packed) if size is None else size
    return (
        b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog " + also + b" >>\nendobj\n"
        b"2 0 obj\n<< /Length 3 0 R /Filter /FlateDecode >>\nstream\n" + packed + b"\nendstream\n"
        b"endobj\n3 0 obj\n%d\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%%%EOF\n" % length
    )


def judged(old: bytes, new: bytes) -> Comparison:
    return PdfComparator().compare(MemoryOutput(old), MemoryOutput(new), {})


def test_the_length_of_a_stream_in_an_object_of_its_own_is_no_result() -> None:
    found = judged(document(9), document(1))
    assert found.outcome is Outcome.EQUIVALENT, found
    assert "/Length and /Filter of packed streams" in found.removed


@pytest.mark.parametrize("also", [b"/Pages 3 0 R", b"/Kids [3 0 R]", b"/X 3 0 R /Length 3 0 R"])
def test_a_number_that_is_more_than_a_length_counts(also: bytes) -> None:
    found = judged(document(9, also=also), document(1, also=also))
    assert found.outcome is Outcome.DIFFERENT, found
