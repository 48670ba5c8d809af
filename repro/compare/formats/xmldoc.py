"""SVG and other XML: canonical markup; dates of known metadata and random ids removed."""

from __future__ import annotations

import re

from repro.compare.base import Comparator, Task, parse_both
from repro.compare.findings import Findings
from repro.compare.lines import compare_lines
from repro.compare.markup import Event, parse_xml
from repro.model.verdict import Comparison

_SVG = "http://www.w3.org/2000/svg svg"
_DC = "http://purl.org/dc/elements/1.1/"
_TERMS = "http://purl.org/dc/terms/"
_CORE = "http://schemas.openxmlformats.org/package/2006/metadata/core-properties"
_ODF = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
_META = "urn:oasis:names:tc:opendocument:xmlns:meta:1.0"
# Where a date is metadata of the file: by the document's root, so that a dc:date in
# somebody's data stays a result.
_DATES = {
    _SVG: {f"{_DC} date"},
    f"{_CORE} coreProperties": {f"{_TERMS} created", f"{_TERMS} modified", f"{_CORE} lastPrinted"},
    f"{_ODF} document-meta": {f"{_META} creation-date", f"{_DC} date", f"{_META} editing-duration"},
}
# Word marks each editing session (ECMA-376 part 1, 17.15.1.70).
_SESSION = "http://schemas.openxmlformats.org/wordprocessingml/2006/main rsid"
_RANDOM_ID = re.compile(r"([\w-]*?)((?=[0-9a-f]*\d)[0-9a-f]{8,})")
_REFERENCE = re.compile(r"(?<=#)[\w:.-]+")


class XmlComparator(Comparator):
    """Well-formed XML; white space between elements counts, the order of attributes not.

    In SVG, ids that look random (as matplotlib's) are matched one to one, and references
    follow them.
    """

    name = "xml/1"
    rank = 25
    suffixes = (".svg", ".xml", ".kml", ".gpx", ".graphml", ".vtu", ".rels")
    magic = (b"<?xml", b"<svg")
    kinds = ("xml", "svg")
    max_bytes = 32 << 20

    def accepts(self, path: str, head: bytes) -> bool:
        """By name, or by the XML declaration, but never a web page."""
        return not path.lower().endswith((".html", ".htm")) and super().accepts(path, head)

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(parse_xml, old, new)
        findings = self._findings(task)
        root = next((event.name for event in left if event.kind == "start"), "")
        if [(e.kind, e.name) for e in left if e.kind == "start"] != [
            (e.kind, e.name) for e in right if e.kind == "start"
        ] or len(left) != len(right):
            _structure(left, right, findings)
            return findings.result("other elements")
        names = _ids(left, right) if root == _SVG else {}
        for one, two in zip(left, right, strict=True):
            if one != two:
                _event(one, two, names, _DATES.get(root, set()), findings)
        if names:
            findings.drop("random ids")
        findings.otherwise("the order of attributes, quotes or encoding")
        elements = sum(event.kind == "start" for event in left)
        return findings.result(f"{elements} elements")


def _structure(left: list[Event], right: list[Event], findings: Findings) -> None:
    for one, two in zip(left, right, strict=False):
        if (one.kind, one.name) != (two.kind, two.name) and one.kind in ("start", "end"):
            findings.differ(one.path, "other elements", one.path, two.path)
            return
    findings.differ("the document", "another number of pieces", str(len(left)), str(len(right)))


def _ids(left: list[Event], right: list[Event]) -> dict[str, str]:
    """Random ids of the recorded file and what they are called in the rerun's, one to one."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for one, two in zip(left, right, strict=True):
        old, new = dict(one.attributes).get("id"), dict(two.attributes).get("id")
        if old is None or new is None or old == new:
            continue
        one_shape, two_shape = _RANDOM_ID.fullmatch(old), _RANDOM_ID.fullmatch(new)
        if one_shape is None or two_shape is None or len(old) != len(new):
            continue
        if one_shape[1] == two_shape[1] and old not in names and new not in taken:
            names[old] = new
            taken.add(new)
    return names


def _event(
    one: Event, two: Event, names: dict[str, str], dates: set[str], findings: Findings
) -> None:
    if one.kind != two.kind or one.path != two.path:
        findings.differ(one.path, "other elements", one.kind, two.kind)
    elif one.kind == "start":
        _attributes(one, two, names, findings)
    elif one.kind == "text" and _is_date(one, dates):
        findings.drop(f"metadata {one.path} ({one.name.strip()[:40]} / {two.name.strip()[:40]})")
    else:
        compare_lines(_follow(one.name, names), two.name, findings, where=f"{one.path} {one.kind} ")


def _is_date(event: Event, dates: set[str]) -> bool:
    leaf = event.path.rpartition("/")[2]
    return any(name.endswith(f" {leaf}") for name in dates) and (
        re.search(r"\d{4}-\d\d-\d\d|PT?\d", event.name) is not None
    )


def _attributes(one: Event, two: Event, names: dict[str, str], findings: Findings) -> None:
    left, right = dict(one.attributes), dict(two.attributes)
    for key in sorted(left.keys() | right.keys()):
        old, new = left.get(key), right.get(key)
        if old != new and key.startswith(_SESSION):
            findings.drop("marks of editing sessions (rsid)")
        elif old is None or new is None:
            findings.differ(f"{one.path} @{key}", "attribute added or missing", old, new)
        else:
            expected = names.get(old, old) if key == "id" else _follow(old, names)
            if expected != new:
                place = f"{one.path} @{key.rpartition(' ')[2]} "
                compare_lines(expected, new, findings, where=place)


def _follow(text: str, names: dict[str, str]) -> str:
    if "#" not in text or not names:
        return text
    return _REFERENCE.sub(lambda match: names.get(match.group(0), match.group(0)), text)
