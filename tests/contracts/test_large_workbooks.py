"""Workbooks row by row end as workbooks held whole, and more than a million cells are judged."""

from __future__ import annotations

import io
import zipfile

import comparator_checks as checks
import pytest
from pairs_office import cases

from repro.compare import unzip, xlsx
from repro.compare.formats import spreadsheet
from repro.model.outcome import Outcome

CASES = cases()
BOOKS = ("xlsx", "ods")
PAIRS = [
    (name, kind, label)
    for name in BOOKS
    for kind in ("benign", "close", "faults")
    for label in getattr(CASES[name], kind)
]


def stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every workbook counts as large, and is parsed some bytes at a time."""
    monkeypatch.setattr(spreadsheet, "MAX_BYTES", -1)
    monkeypatch.setattr(unzip, "_PIECE", 64)


@pytest.mark.parametrize(("name", "kind", "label"), PAIRS)
def test_rows_end_like_the_whole(
    name: str, kind: str, label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    other = getattr(case, kind)[label]
    whole = checks.compare(case.path, case.base, other)
    stream(monkeypatch)
    found = checks.compare(case.path, case.base, other)
    assert found.outcome is whole.outcome, (found, whole)
    assert checks.compare(case.path, other, case.base).outcome is found.outcome
    assert [d.where for d in found.differences[:1]] == [d.where for d in whole.differences[:1]]
    assert bool(found.removed) >= (found.outcome is Outcome.EQUIVALENT)


@pytest.mark.parametrize("name", BOOKS)
def test_a_damaged_workbook_never_passes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream(monkeypatch)
    checks.truncation(CASES[name])
    checks.noise(CASES[name])


def book(rows: int, changed: int = -1, *, order: int = 0) -> bytes:
    """A workbook of 26 columns, made as fast as text can be joined."""
    out = io.BytesIO()
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    types = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    lines = []
    for row in range(1, rows + 1):
        cells = "".join(
            f'<c r="{chr(64 + column)}{row}"><v>{row * column + (row == changed)}.5</v></c>'
            for column in range(1, 27)
        )
        lines.append(f'<row r="{row}">{cells}</row>')
    if order:
        lines[order], lines[order + 1] = lines[order + 1], lines[order]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{types}"><sheets>'
            '<sheet name="Data" sheetId="1" r:id="rId1"/></sheets></workbook>',
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            f'<Relationship Id="rId1" Type="{types}/worksheet" Target="worksheets/sheet1.xml"/>'
            "</Relationships>",
        )
        sheet = f'<worksheet xmlns="{main}"><sheetData>{"".join(lines)}</sheetData></worksheet>'
        archive.writestr("xl/worksheets/sheet1.xml", sheet)
    return out.getvalue()


def test_many_cells_are_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "MAX_CELLS", 1000)
    monkeypatch.setattr(unzip, "_PIECE", 1024)
    base = book(60)
    found = checks.compare("table.xlsx", base, book(60, 31))
    assert found.outcome is Outcome.DIFFERENT
    assert {d.where for d in found.differences} == {f"Data!{chr(65 + n)}31" for n in range(26)}
    longer = checks.compare("table.xlsx", base, book(61))
    assert longer.outcome is Outcome.DIFFERENT
    assert "Data: 1 more or fewer rows" in longer.notes


def test_rows_out_of_order_are_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    stream(monkeypatch)
    found = checks.compare("table.xlsx", book(20), book(20, order=4))
    assert found.outcome is Outcome.UNDECIDED
    assert "the rows of a large sheet do not come in their order" in found.notes[0]
