"""PDF: dates, ids and the producer's name removed, streams inflated, the rest byte by byte."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from repro.compare.base import Beyond, Comparator, Malformed, Task, parse_both
from repro.compare.findings import Findings
from repro.compare.inflate import inflate_zlib
from repro.compare.pdfdrawing import compare_drawings
from repro.model.verdict import Comparison

_OBJECT = re.compile(rb"(?:^|(?<=[\r\n\s]))(\d{1,10})\s+(\d{1,5})\s+obj\b")
_END = re.compile(rb"\bstream\r?\n|\bendobj\b")
_STRING = rb"(?:\((?:[^()\\]|\\.)*\)|<[0-9A-Fa-f\s]*>)"
_DROPS = (
    ("/CreationDate", re.compile(rb"(/CreationDate)\s*" + _STRING, re.S)),
    ("/ModDate", re.compile(rb"(/ModDate)\s*" + _STRING, re.S)),
    ("/Producer", re.compile(rb"(/Producer)\s*" + _STRING, re.S)),
    ("/ID", re.compile(rb"(/ID)\s*\[\s*" + _STRING + rb"\s*" + _STRING + rb"\s*\]", re.S)),
)
_XMP = tuple(
    (f"XMP {name.decode()}", re.compile(rb"(<" + name + rb">)[^<]{0,100}(?=</" + name + rb">)"))
    for name in (
        b"xmp:CreateDate", b"xmp:ModifyDate", b"xmp:MetadataDate", b"xmpMM:DocumentID",
        b"xmpMM:InstanceID", b"xap:CreateDate", b"xap:ModifyDate", b"xapMM:DocumentID",
    )
)  # fmt: skip
_XMP_ATTRIBUTES = tuple(
    (f"XMP {name.decode()}", re.compile(rb"(" + name + rb"=(['\"]))[^\"'<]{0,100}(?=\2)"))
    for name in (
        b"xmp:CreateDate", b"xmp:ModifyDate", b"xmp:MetadataDate", b"xmpMM:DocumentID",
        b"xmpMM:InstanceID", b"xap:CreateDate", b"xap:ModifyDate", b"xapMM:DocumentID",
    )
)  # fmt: skip
_XREF_ENTRY = re.compile(rb"(\d{10}) (\d{5}) ([nf])(?: \r| \n|\r\n)")
_FILTERS = re.compile(rb"/Filter\s*(?:/\w+|\[[^\]]{0,200}\])")
_REFERENCE = re.compile(rb"(?<!\d)(\d{1,10})\s+\d{1,5}\s+R\b")
_LENGTH_OBJECT = re.compile(rb"/Length\s+(\d{1,10})\s+\d{1,5}\s+R\b")
_INTEGER_OBJECT = re.compile(rb"(\d{1,10})\s+\d{1,5}\s+obj\s+\d{1,12}\s+endobj")
_MAX_OBJECTS = 500_000


@dataclass(frozen=True)
class Piece:
    """A run of bytes of the file: ``kind`` is object, stream or between."""

    kind: str
    label: str
    data: bytes
    head: bytes = b""


class PdfComparator(Comparator):
    """PDF without a renderer: EQUIVALENT when only metadata and packing differ.

    Every byte belongs to an object, a stream or what lies between; each is compared. What
    remains different is DIFFERENT, with the object named.
    """

    name = "pdf/1"
    rank = 40
    suffixes = (".pdf",)
    magic = (b"%PDF-",)
    kinds = ("pdf",)

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(pieces, old, new)
        findings = self._findings(task)
        if [(p.kind, p.label) for p in left] != [(p.kind, p.label) for p in right]:
            findings.differ("the document", "other objects", str(len(left)), str(len(right)))
        else:
            lengths = _lengths(left, old) & _lengths(right, new)
            for one, two in zip(left, right, strict=True):
                if one != two and one.kind == "object" and one.label in lengths:
                    findings.drop("/Length and /Filter of packed streams")
                elif one != two:
                    _piece(one, two, (old, new), findings)
        if findings.count:
            findings.note(
                "pages of a PDF are compared by what draws them; none is shown as a picture"
            )
        objects = sum(piece.kind == "object" for piece in left)
        return findings.result(f"{objects} objects")


def pieces(data: bytes) -> list[Piece]:
    """Cut a PDF so that every byte is in exactly one piece. Raises Malformed."""
    if not data.startswith(b"%PDF-") or b"%%EOF" not in data[-2048:]:
        raise Malformed("it does not begin and end like a PDF")
    found = list(_cut(data))
    if len(found) < 2:
        raise Malformed("it has no objects")
    return found


def _cut(data: bytes) -> Iterator[Piece]:
    position = 0
    count = 0
    while (start := _OBJECT.search(data, position)) is not None:
        count += 1
        if count > _MAX_OBJECTS:
            raise Beyond(f"more than {_MAX_OBJECTS} objects")
        yield Piece("between", "between objects", data[position : start.start()])
        label = f"object {start.group(1).decode()}"
        stop = _END.search(data, start.end())
        if stop is None:
            raise Malformed(f"{label} has no end")
        head = data[start.start() : stop.end()]
        yield Piece("object", label, head)
        position = stop.end()
        if stop.group().startswith(b"stream"):
            end = _stream_end(data, position, head)
            yield Piece("stream", f"stream of {label}", data[position:end], head)
            position = end
    yield Piece("between", "the trailer", data[position:])


def _stream_end(data: bytes, start: int, head: bytes) -> int:
    length = re.search(rb"/Length\s+(\d{1,10})(?!\s+\d+\s+R)", head)
    if length is not None:
        end = start + int(length.group(1))
        if data[end : end + 12].lstrip(b"\r\n ").startswith(b"endstream"):
            return end
    end = data.find(b"endstream", start)
    if end < 0:
        raise Malformed("a stream has no end")
    return end


def _lengths(found: list[Piece], file: bytes) -> frozenset[str]:
    """The objects that hold the length of a stream and are named nowhere else."""
    if b"/ObjStm" in file:  # names may be packed in there
        return frozenset()
    plain: set[int] = set()
    named: Counter[int] = Counter()
    used: Counter[int] = Counter()
    for piece in found:
        if piece.kind == "stream":
            used.update(int(match[1]) for match in _LENGTH_OBJECT.finditer(piece.head))
            continue
        named.update(int(match[1]) for match in _REFERENCE.finditer(piece.data))
        if match := _INTEGER_OBJECT.fullmatch(piece.data):
            plain.add(int(match[1]))
    return frozenset(f"object {n}" for n in plain if 0 < used[n] == named[n])


def _piece(one: Piece, two: Piece, files: tuple[bytes, bytes], findings: Findings) -> None:
    if one.kind == "stream":
        _stream(one, two, findings)
        return
    left, right, removed = _scrub(one.data, two.data, _DROPS)
    if left != right and one.kind == "object":
        left, right = _without_packing(left), _without_packing(right)
        removed.append("/Length and /Filter of packed streams")
    elif left != right:
        left, right = _without_xref(left, files[0]), _without_xref(right, files[1])
        removed.append("the table of offsets")
    if left == right:
        for name in removed:
            findings.drop(name)
    else:
        findings.differ(one.label, "its content differs", _show(left), _show(right))


def _without_packing(data: bytes) -> bytes:
    """An object without length and filters of its stream, which is compared unpacked."""
    found = re.sub(rb"/Length\s+\d+(?!\s+\d+\s+R)", b"/Length", data)
    if data.endswith((b"stream\n", b"stream\r\n")) and _filters(data) is not None:
        found = _FILTERS.sub(b"", found)
    # White space counts inside strings only.
    return found if b"(" in found else b" ".join(found.split())


def _filters(head: bytes) -> list[bytes] | None:
    """The names of a stream's filters in their order; None when one is not undone here."""
    found = _FILTERS.findall(head)
    names: list[bytes] = re.findall(rb"/(\w+)", found[0][len(b"/Filter") :]) if found else []
    if len(found) > 1 or any(name not in _UNDO for name in names) or b"/DecodeParms" in head:
        return None
    return names


def _without_xref(data: bytes, file: bytes) -> bytes:
    """The trailer without offsets, each of which must point at its object."""
    sections = re.search(rb"xref\s+((?:\d+ \d+\s*\r?\n(?:\d{10} \d{5} [nf][ \r\n]{2})+)+)", data)
    found = re.sub(rb"startxref\s+\d+", b"startxref", data)
    if sections is None:
        return found
    for entry in _XREF_ENTRY.finditer(sections.group(1)):
        offset = int(entry.group(1))
        if entry.group(3) == b"n" and not re.match(
            rb"\s*\d+\s+\d+\s+obj", file[offset : offset + 30]
        ):
            return data
    return found.replace(sections.group(1), _XREF_ENTRY.sub(rb"\2 \3", sections.group(1)))


def _stream(one: Piece, two: Piece, findings: Findings) -> None:
    left, right = _inflated(one), _inflated(two)
    removed: list[str] = []
    if re.search(rb"/Type\s*/XRef\b", one.head):
        findings.drop("the table of offsets")
        findings.note(f"not compared: {one.label}, a compressed table of offsets")
        return
    if left != right and re.search(rb"/Type\s*/Metadata\b", one.head):
        left, right, removed = _scrub(left, right, _XMP + _XMP_ATTRIBUTES)
    elif left != right and re.search(rb"/Type\s*/ObjStm\b", one.head):
        left, right, removed = _scrub(left, right, _DROPS)
    if left != right:
        if one.head == two.head or _without_packing(one.head) == _without_packing(two.head):
            if compare_drawings(one.head, left, right, one.label, findings):
                return
        findings.differ(one.label, "its content differs", _show(left), _show(right))
        return
    for name in removed or ["how streams are compressed"]:
        findings.drop(name)


def _inflated(piece: Piece) -> bytes:
    names = _filters(piece.head)
    if names is None and b"/FlateDecode" not in piece.head:
        return piece.data
    data = piece.data
    try:
        for name in [b"FlateDecode"] if names is None else names:
            data = _UNDO[name](data)
    except Malformed:
        # Other filters or encryption: its bytes are what can be compared.
        return piece.data
    return data


def _ascii85(data: bytes) -> bytes:
    try:
        return base64.a85decode(data.strip().removesuffix(b"~>"), adobe=False)
    except ValueError as error:
        raise Malformed(str(error)) from None


def _hexadecimal(data: bytes) -> bytes:
    digits = b"".join(data.partition(b">")[0].split())
    try:
        return bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii"))
    except ValueError as error:
        raise Malformed(str(error)) from None


# ISO 32000-1, 7.4: filters that are undone without parameters.
_UNDO: dict[bytes, Callable[[bytes], bytes]] = {
    b"FlateDecode": inflate_zlib, b"ASCII85Decode": _ascii85, b"ASCIIHexDecode": _hexadecimal,
}  # fmt: skip


def _scrub(
    one: bytes, two: bytes, rules: tuple[tuple[str, re.Pattern[bytes]], ...]
) -> tuple[bytes, bytes, list[str]]:
    """Both sides without what the rules find, and the names of what differed."""
    removed = []
    for name, pattern in rules:
        found = [[match.group(0) for match in pattern.finditer(side)] for side in (one, two)]
        if found[0] != found[1]:
            removed.append(name)
        one, two = pattern.sub(rb"\1", one), pattern.sub(rb"\1", two)
    return one, two, removed


def _show(data: bytes) -> str:
    text = data[:300].decode("latin-1")
    return text if text.isprintable() or data[:1].isalnum() else f"{len(data)} bytes"
