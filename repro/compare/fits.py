"""FITS (standard 4.0): headers card by card, images and binary tables as arrays."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from repro.compare.arrays import Array
from repro.compare.base import Beyond, Malformed
from repro.compare.contents import MAX_LEAVES, Blob, Content, Leaf, Texts, Tree
from repro.compare.numbers import is_whole, read_number

MAGIC = b"SIMPLE  ="
BLOCK = 2880
_IMAGES = {8: "|u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_COLUMNS = {
    "L": "|u1", "X": "|u1", "B": "|u1", "I": ">i2", "J": ">i4", "K": ">i8", "A": "|S1",
    "E": ">f4", "D": ">f8", "C": ">c8", "M": ">c16", "P": ">i4", "Q": ">i8",
}  # fmt: skip
_FORMAT = re.compile(r"(\d*)([A-Z])(?:([A-Z])(?:\(\d*\))?)?.*")
_FREE = ("COMMENT", "HISTORY", "")
_MAX_UNITS = 2000


@dataclass
class _Unit:
    """One header and its data: values by keyword, comments, free text, the data's bytes."""

    values: dict[str, str] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    data: bytes = b""
    padding: bytes = b""

    def whole(self, name: str, default: int | None = None) -> int:
        """An integer card. Raises Malformed when it is none."""
        text = self.values.get(name)
        if text is None and default is not None:
            return default
        if text is None or not is_whole(text) or len(text) > 18:
            raise Malformed(f"card {name} is missing or no integer")
        return int(text)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes, the slowest first."""
        axes = [self.whole(f"NAXIS{n + 1}") for n in range(min(self.whole("NAXIS"), 999))]
        if min(axes, default=0) < 0:
            raise Malformed("the size of an axis is negative")
        return tuple(axes[::-1])

    @property
    def size(self) -> int:
        """Bytes of data (section 4.4.1.1, equations 1 and 2)."""
        axes = self.shape
        if not axes:
            return 0
        if self.values.get("GROUPS") == "T" and axes[-1] == 0:
            axes = axes[:-1]
        width = abs(self.whole("BITPIX")) // 8
        return width * self.whole("GCOUNT", 1) * (self.whole("PCOUNT", 0) + math.prod(axes))


def read_fits(data: bytes) -> Content:
    """Every card, image and column by place. Raises Malformed and Beyond."""
    if not data.startswith(MAGIC) or len(data) % BLOCK:
        raise Malformed("it is no FITS file, or it ends inside a block")
    found: dict[str, Leaf] = {}
    for number, unit in enumerate(_units(data)):
        name = unit.values.get("EXTNAME", "").strip("' ")
        place = f"HDU {number}{f' {name}' if name else ''}"
        found.update(_header(unit, place))
        found.update(_data(unit, place))
        if unit.padding.strip(b"\0 "):
            found[f"{place}, after the data"] = Blob(data=unit.padding)
        if len(found) > MAX_LEAVES:
            raise Beyond(f"more than {MAX_LEAVES} values")
    return found


def _units(data: bytes) -> Iterator[_Unit]:
    position = count = 0
    while position < len(data):
        count += 1
        if count > _MAX_UNITS:
            raise Beyond(f"more than {_MAX_UNITS} headers")
        unit = _Unit()
        position = _cards(data, position, unit)
        end = position + unit.size
        stop = end + -end % BLOCK
        if unit.size < 0 or stop > len(data):
            raise Malformed("it ends inside its data")
        unit.data, unit.padding = data[position:end], data[end:stop]
        position = stop
        yield unit


def _cards(data: bytes, position: int, unit: _Unit) -> int:
    last = ""
    while position < len(data):
        card = data[position : position + 80].decode("latin-1")
        position += 80
        name = card[:8].rstrip()
        if name == "END":
            return position + -position % BLOCK
        if card[8:10] == "= ":
            last = name
            _value(card[10:], name, unit)
        elif name == "CONTINUE" and last:
            _continued(card[8:], last, unit)
        elif name == "HIERARCH" and "=" in card:
            name, _, rest = card[9:].partition("=")
            _value(rest, f"HIERARCH {name.strip()}", unit)
        else:
            unit.texts.setdefault(name, []).append(card[8:].rstrip())
    raise Malformed("a header has no end")


def _value(text: str, name: str, unit: _Unit) -> None:
    if name in unit.values:
        raise Beyond(f"card {name} appears twice in a header")
    unit.values[name], unit.comments[name] = _split(text)


def _split(text: str) -> tuple[str, str]:
    """Value and comment; a string keeps its first quote (section 4.2)."""
    text = text.strip()
    if text.startswith("'"):
        match = re.match(r"'((?:[^']|'')*)'", text)
        if match is None:
            return text, ""
        return "'" + match[1].rstrip(), text[match.end() :].strip(" /")
    value, _, comment = text.partition("/")
    return value.strip(), comment.strip()


def _continued(text: str, name: str, unit: _Unit) -> None:
    value, comment = _split(text)
    unit.values[name] = unit.values[name].removesuffix("&") + value.removeprefix("'")
    unit.comments[name] = f"{unit.comments[name]} {comment}".strip()


def _header(unit: _Unit, place: str) -> Iterator[tuple[str, Leaf]]:
    for name, value in unit.values.items():
        where = f"{place}, card {name}"
        number = read_number(value.replace("D", "E"))
        if number is None:
            yield where, Texts(values=(value,))
        else:
            yield where, Tree(value=int(value) if is_whole(value) else number)
        yield f"{where}, comment", Tree(value=unit.comments[name])
    for name, lines in unit.texts.items():
        yield f"{place}, {name or 'blank'} cards", Tree(value="\n".join(lines))


def _data(unit: _Unit, place: str) -> Iterator[tuple[str, Leaf]]:
    kind = unit.values.get("XTENSION", "'IMAGE").strip("' ")
    if not unit.data:
        return
    if kind == "BINTABLE":
        yield from _table(unit, place)
    elif kind == "IMAGE" and unit.values.get("GROUPS") != "T":
        type_ = _IMAGES.get(unit.whole("BITPIX"))
        if type_ is None:
            raise Malformed("BITPIX is none of the six")
        array = Array(type=type_, shape=unit.shape, data=unit.data)
        if array.size != len(unit.data):
            raise Beyond("an image with parameters or groups is not read")
        yield f"{place}, image", array
    else:
        yield f"{place}, data", Blob(data=unit.data)


def _table(unit: _Unit, place: str) -> Iterator[tuple[str, Leaf]]:
    count, width = (*unit.shape, 0, 0)[:2]
    rows, heap = unit.data[: count * width], unit.data[unit.whole("THEAP", count * width) :]
    position = 0
    fields = unit.whole("TFIELDS")
    if not 0 <= fields <= 999:
        raise Malformed("a table has too many columns")
    packed = "T" in (unit.values.get("ZIMAGE"), unit.values.get("ZTABLE"))
    for number in range(1, fields + 1):
        name = unit.values.get(f"TTYPE{number}", str(number)).strip("' ")
        match = _FORMAT.fullmatch(unit.values.get(f"TFORM{number}", "").strip("' "))
        if match is None or match[2] not in _COLUMNS:
            raise Malformed(f"the format of column {name} is not known")
        repeat = int(match[1] or 1)
        type_ = _COLUMNS[match[2]]
        if match[2] == "X":
            repeat = -(-repeat // 8)
        if match[2] in "PQ":
            repeat *= 2
        size = repeat * int(type_[2:])
        where = f"{place}, column {name} ({number})"
        body = b"".join(
            rows[start + position : start + position + size]
            for start in range(0, count * width, width or 1)
        )
        if position + size > width or len(body) != count * size:
            raise Malformed(f"column {name} is wider than the table")
        position += size
        if match[2] in "PQ":
            yield from _heap(match, type_, (body, heap), where, packed)
        elif match[2] == "A":
            yield where, Texts(values=tuple(_texts(body, size, count)))
        else:
            yield (
                where,
                Array(type=type_, shape=(count, repeat)[: 2 if repeat != 1 else 1], data=body),
            )


def _texts(body: bytes, size: int, count: int) -> Iterator[str]:
    for row in range(count):
        yield body[row * size : (row + 1) * size].split(b"\0")[0].rstrip().decode("latin-1")


def _heap(
    match: Mapping[int, str] | re.Match[str],
    type_: str,
    parts: tuple[bytes, bytes],
    where: str,
    packed: bool,
) -> Iterator[tuple[str, Leaf]]:
    """A column of arrays of any length (section 7.3.5): lengths, and all elements in a row."""
    body, heap = parts
    element = _COLUMNS.get(match[3] or "")
    if element is None:
        raise Malformed("a column of arrays has no type")
    pairs = struct.unpack(f">{len(body) // int(type_[2:])}{'i' if type_ == '>i4' else 'q'}", body)
    lengths, starts = pairs[::2], pairs[1::2]
    pieces = []
    total = 0
    for length, start in zip(lengths, starts, strict=True):
        count = -(-length // 8) if match[3] == "X" else length
        size = count * int(element[2:])
        total += size
        if length < 0 or start < 0 or start + size > len(heap):
            raise Malformed("a column of arrays leads out of the file")
        if total > 4 * len(heap) + 1024:
            raise Beyond("a column of arrays uses the same bytes again and again")
        pieces.append(heap[start : start + size])
    data = b"".join(pieces)
    if packed:
        yield f"{where}, compressed tiles", Blob(data=data)
        return
    yield (
        f"{where}, lengths",
        Array(type=">i8", shape=(len(lengths),), data=struct.pack(f">{len(lengths)}q", *lengths)),
    )
    yield where, Array(type=element, shape=(len(data) // int(element[2:]),), data=data)
