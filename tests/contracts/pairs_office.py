"""Office files as ZIPs of XML: xlsx, ods, docx, odt."""

from __future__ import annotations

import io
import zipfile

from comparator_pairs import PLOT, Case, gradient, png, swap, zipped

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_ODF = "urn:oasis:names:tc:opendocument:xmlns"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def core(date: str) -> bytes:
    """docProps/core.xml."""
    return (
        f'{_HEAD}<cp:coreProperties xmlns:cp="{_PACKAGE}/metadata/core-properties" '
        'xmlns:dcterms="http://purl.org/dc/terms/" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f'<dcterms:created xsi:type="dcterms:W3CDTF">{date}</dcterms:created></cp:coreProperties>'
    ).encode()


def xlsx(
    *,
    value: str = "0.1",
    count: str = "3",
    name: str = "alpha",
    formula: str = "SUM(A1:A2)",
    style: str = "0",
    date: str = "2024-01-01T10:00:00Z",
    inline: bool = False,
    sheet: str = "Data",
    extra: str = "",
    figure: bytes = PLOT,
    named: str = "Data!$A$1",
    strings: str = "alpha,beta",
) -> bytes:
    """A workbook of one sheet with five cells."""
    texts = strings.split(",")
    text = (
        f'<c r="B1" t="inlineStr"><is><t>{name}</t></is></c>'
        if inline
        else f'<c r="B1" t="s" s="{style}"><v>{texts.index(name)}</v></c>'
    )
    data = (
        f'{_HEAD}<worksheet xmlns="{_MAIN}"><cols><col min="1" max="1" width="9.{style}"/></cols>'
        f'<sheetData><row r="1"><c r="A1" s="{style}"><v>{value}</v></c>{text}</row>'
        f'<row r="2"><c r="A2"><v>{count}</v></c><c r="B2" t="b"><v>1</v></c></row>'
        f'<row r="3"><c r="A3"><f>{formula}</f><v>3.1</v></c>{extra}</row></sheetData></worksheet>'
    )
    shared = "".join(f"<si><r><t>{t[:2]}</t></r><r><t>{t[2:]}</t></r></si>" for t in texts)
    parts = {
        "[Content_Types].xml": f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types"/>',
        "xl/workbook.xml": f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        f'<sheet name="{sheet}" sheetId="1" r:id="rId1"/></sheets><definedNames>'
        f'<definedName name="first">{named}</definedName></definedNames></workbook>',
        "xl/_rels/workbook.xml.rels": f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{_OFFICE}/sharedStrings" Target="/xl/sharedStrings.xml"/>'
        "</Relationships>",
        "xl/worksheets/sheet1.xml": data,
        "xl/sharedStrings.xml": f'{_HEAD}<sst xmlns="{_MAIN}">{shared}</sst>',
        "xl/styles.xml": f'{_HEAD}<styleSheet xmlns="{_MAIN}"><x n="{style}"/></styleSheet>',
    }
    members = {part: text.encode() for part, text in parts.items()}
    return zipped({**members, "docProps/core.xml": core(date), "xl/media/image1.png": figure})


def ods(
    *,
    value: str = "0.1",
    text: str = "alpha",
    formula: str = "of:=[.A1]*2",
    width: str = "2cm",
    date: str = "2024-01-01T10:00:00",
    repeat: str = "2",
    note: str = "checked",
) -> bytes:
    """A spreadsheet of one sheet."""
    spaces = " ".join(
        f'xmlns:{short}="{_ODF}:{short}:1.0"' for short in ("office", "table", "text", "style")
    )
    content = f"""{_HEAD}<office:document-content {spaces}>
<office:automatic-styles><style:style style:name="c" style:width="{width}"/>
</office:automatic-styles><office:body><office:spreadsheet><table:table table:name="Data">
<table:table-row><table:table-cell office:value-type="float" office:value="{value}">
<text:p>rounded</text:p></table:table-cell><table:table-cell office:value-type="string">
<office:annotation><text:p>{note}</text:p></office:annotation><text:p>{text}</text:p>
</table:table-cell><table:table-cell table:number-columns-repeated="16382"/></table:table-row>
<table:table-row table:number-rows-repeated="3"><table:table-cell
 table:number-columns-repeated="{repeat}" office:value-type="date"
 office:date-value="2024-01-02"/></table:table-row>
<table:table-row><table:table-cell table:formula="{formula}" office:value-type="float"
 office:value="0.2"/></table:table-row>
<table:table-row table:number-rows-repeated="1048570"><table:table-cell
 table:number-columns-repeated="16384"/></table:table-row>
</table:table></office:spreadsheet></office:body></office:document-content>"""
    meta = (
        f'{_HEAD}<office:document-meta {spaces} xmlns:meta="{_ODF}:meta:1.0"><office:meta>'
        f"<meta:creation-date>{date}</meta:creation-date></office:meta></office:document-meta>"
    )
    kind = b"application/vnd.oasis.opendocument.spreadsheet"
    return zipped(
        {"mimetype": kind, "content.xml": content.encode(), "meta.xml": meta.encode(),
         "styles.xml": f"<a width='{width}'/>".encode()}
    )  # fmt: skip


def docx(
    *, text: str = "slope 3.25", date: str = "2024-01-01T10:00:00Z", session: str = "00A1B2C3"
) -> bytes:
    """A document of one paragraph."""
    body = (
        f'{_HEAD}<w:document xmlns:w="{_WORD}"><w:body><w:p w:rsidR="{session}"><w:r>'
        f"<w:t>{text}</w:t></w:r></w:p></w:body></w:document>"
    )
    return zipped({"word/document.xml": body.encode(), "docProps/core.xml": core(date)})


def odt(*, text: str = "slope 3.25", date: str = "2024-01-01T10:00:00") -> bytes:
    """A text document of one paragraph."""
    spaces = f'xmlns:office="{_ODF}:office:1.0" xmlns:text="{_ODF}:text:1.0"'
    body = f"<office:document-content {spaces}><text:p>{text}</text:p></office:document-content>"
    meta = (
        f'<office:document-meta {spaces} xmlns:meta="{_ODF}:meta:1.0"><office:meta>'
        f"<meta:creation-date>{date}</meta:creation-date></office:meta></office:document-meta>"
    )
    return zipped({"content.xml": (_HEAD + body).encode(), "meta.xml": (_HEAD + meta).encode()})


def cases() -> dict[str, Case]:
    """Every case by name."""
    later = "2025-11-30T01:02:03Z"
    return {
        "xlsx": Case(
            "table.xlsx",
            xlsx(),
            benign={
                "date": xlsx(date=later),
                "styles": xlsx(style="4"),
                "inline text": xlsx(inline=True),
                "order of texts": xlsx(strings="beta,alpha"),
                "digits": xlsx(value="1E-1"),
                "figure's date": xlsx(figure=png(gradient(), width=40, text=b"2025")),
            },
            close={"rounding": xlsx(value="0.10000000000000001", count="3.0000000000000004")},
            faults={
                "value": xlsx(value="0.11"),
                "styles and value": xlsx(style="4", value="0.11"),
                "integer": xlsx(count="4"),
                "text": xlsx(name="beta"),
                "same place, another text": xlsx(name="gamma", strings="gamma,beta"),
                "text number": swap_in(b'<c r="A2">', b'<c r="A2" t="str">'),
                "formula": xlsx(formula="SUM(A1:A1)"),
                "sheet": xlsx(sheet="Data2"),
                "hidden": xlsx(sheet='Data" state="hidden'),
                "named range": xlsx(named="Data!$A$2"),
                "one more cell": xlsx(extra='<c r="B3"><v>1</v></c>'),
                "cell moved": swap_in(b'r="B2"', b'r="C2"'),
                "boolean": swap_in(b'<c r="B2" t="b"><v>1', b'<c r="B2" t="b"><v>0'),
                "cell twice": xlsx(extra='<c r="A3"><v>3.1</v></c>'),
                "text not there": swap_in(b't="s" s="0"><v>0', b't="s" s="0"><v>9'),
                "figure": xlsx(figure=png(gradient({(3, 3): 90}), width=40)),
                "no sheet": zipped({"xl/workbook.xml": b"<workbook/>"}),
                "entity": swap_in(b"<worksheet", b'<!DOCTYPE a [<!ENTITY b "c">]><worksheet'),
            },
            beyond=("entity",),
        ),
        "ods": Case(
            "table.ods",
            ods(),
            benign={"date": ods(date="2025-11-30T10:00:00"), "styles": ods(width="3cm")},
            close={"rounding": ods(value="0.10000000000000002")},
            faults={
                "value": ods(value="0.11"),
                "text": ods(text="beta"),
                "formula": ods(formula="of:=[.A1]*3"),
                "repeat": ods(repeat="3"),
                "note": ods(note="not checked"),
                "bomb": ods(repeat="999999999"),
            },
            beyond=("bomb",),
        ),
        "docx": Case(
            "report.docx",
            docx(),
            benign={"date": docx(date=later), "session": docx(session="00FFFFFF")},
            faults={"number": docx(text="slope 3.26"), "both": docx(date=later, text="slope 3.26")},
        ),
        "odt": Case(
            "report.odt",
            odt(),
            benign={"date": odt(date="2025-11-30T10:00:00")},
            faults={"number": odt(text="slope 3.26")},
        ),
    }


def swap_in(old: bytes, new: bytes) -> bytes:
    """The workbook with a change in the XML of its sheet."""
    with zipfile.ZipFile(io.BytesIO(xlsx())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    return zipped({**members, sheet: swap(members[sheet], old, new)})
