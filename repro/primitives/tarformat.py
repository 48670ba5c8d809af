"""Tar headers, byte for byte: one canonical form to write, a strict parser to read.

Written: POSIX ustar (IEEE 1003.1, pax utility), uid and gid 0, no names, one fixed time;
a pax header only for a name or link that does not fit, base-256 (as GNU tar does) only
for sizes from 8 GiB. Read: ustar, pax and GNU long names; disagreement is refused.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from repro.errors import ArchiveError

BLOCK = 512
END = bytes(2 * BLOCK)

FILE = b"0"
HARDLINK = b"1"
SYMLINK = b"2"
FOLDER = b"5"
PAX = b"x"
GNU_NAME = b"L"
GNU_LINK = b"K"

_OCTAL_SIZE_LIMIT = 1 << 33
_LARGEST = 1 << 53
_PAX_NAME = b"././@PaxHeader"
_FIELDS = struct.Struct("100s8s8s8s12s12s8s1s100s8s80s155s12s")
_MAGICS = (b"ustar\x0000", b"ustar  \x00")


class Header(NamedTuple):
    """One member's header. ``name`` and ``link`` are bytes as stored; ``size`` in bytes."""

    name: bytes
    kind: bytes = FILE
    size: int = 0
    mode: int = 0o644
    mtime: int = 0
    link: bytes = b""


def padding(size: int) -> int:
    """How many zero bytes follow ``size`` bytes of data."""
    return -size % BLOCK


def render(header: Header) -> bytes:
    """The header's canonical bytes, a pax header before it where one is needed."""
    split = _split(header.name)
    records = b""
    if split is None:
        records += pax_record(b"path", header.name)
        split = (b"", header.name[:100])
    if len(header.link) > 100:
        records += pax_record(b"linkpath", header.link)
    prefix, name = split
    block = _block(header, name, header.link[:100], prefix)
    if not records:
        return block
    extra = Header(_PAX_NAME, PAX, len(records), 0o644, header.mtime)
    return _block(extra, _PAX_NAME, b"", b"") + records + bytes(padding(len(records))) + block


def pax_record(key: bytes, value: bytes) -> bytes:
    """One ``length key=value`` record; the length counts its own digits."""
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + 1
    while len(b"%d" % length) + len(body) != length:
        length = len(b"%d" % length) + len(body)
    return b"%d" % length + body


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """Prefix and name for ustar, or None when the name does not fit."""
    if len(name) <= 100:
        return b"", name
    # The trailing slash of a folder belongs to the name, never alone.
    cut = name.rfind(b"/", 0, min(156, len(name) - 1))
    if cut > 0 and len(name) - cut - 1 <= 100:
        return name[:cut], name[cut + 1 :]
    return None


def _block(header: Header, name: bytes, link: bytes, prefix: bytes) -> bytes:
    size = header.size
    digits = b"%011o\0" % size
    if size >= _OCTAL_SIZE_LIMIT:
        digits = b"\x80" + size.to_bytes(11, "big")
    raw = b"".join(
        (
            name.ljust(100, b"\0"),
            b"%07o\0" % header.mode,
            b"0000000\0",
            b"0000000\0",
            digits,
            b"%011o\0" % header.mtime,
            b"        ",
            header.kind,
            link.ljust(100, b"\0"),
            b"ustar\x0000",
            bytes(64),
            b"0000000\0",
            b"0000000\0",
            prefix.ljust(155, b"\0"),
            bytes(12),
        )
    )
    return raw[:148] + b"%06o\0 " % sum(raw) + raw[156:]


def parse(block: bytes) -> Header:
    """Read one 512-byte block (pax and GNU long names are the caller's work).

    Raises ArchiveError on a wrong checksum, another magic, or numbers out of range.
    """
    if _sum(block) - sum(block[148:156]) + 256 != _octal(block[148:156], "checksum"):
        raise ArchiveError("a tar header has a wrong checksum", slug="archive-tar")
    name, mode, _, _, size, mtime, _, kind, link, magic, _, prefix, _ = _FIELDS.unpack(block)
    if magic not in _MAGICS:
        raise ArchiveError("a tar header is of an unknown kind (no ustar)", slug="archive-tar")
    name = name.partition(b"\0")[0]
    if magic == _MAGICS[0] and prefix[0]:
        name = prefix.partition(b"\0")[0] + b"/" + name
    return Header(
        name,
        FILE if kind == b"\0" else kind,
        _size(size),
        _octal(mode, "mode"),
        _octal(mtime, "time"),
        link.partition(b"\0")[0],
    )


def _sum(block: bytes) -> int:
    """The sum of 512 bytes: half a block's is below the modulus of adler32 (RFC 1950)."""
    first, second = zlib.adler32(block[:256]), zlib.adler32(block[256:])
    return (first & 0xFFFF) + (second & 0xFFFF) - 2


def parse_pax(data: bytes) -> dict[bytes, bytes]:
    """The records of a pax header. Raises ArchiveError on anything malformed or twice."""
    found: dict[bytes, bytes] = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 12)
        digits = data[position:space] if space > 0 else b""
        if not digits.isdigit() or digits.startswith(b"0"):
            raise ArchiveError("a pax header is malformed", slug="archive-tar")
        end = position + int(digits)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if end > len(data) or data[end - 1 : end] != b"\n" or not equals or end <= space:
            raise ArchiveError("a pax header is malformed", slug="archive-tar")
        if key in found:
            raise ArchiveError("a pax header says one thing twice", slug="archive-tar")
        found[key] = value
        position = end
    return found


def _octal(field: bytes, what: str) -> int:
    digits = field.strip(b" \0")
    if not digits:
        return 0
    if not digits.isdigit() or b"8" in digits or b"9" in digits:
        raise ArchiveError(f"a tar header's {what} is not a number", slug="archive-tar")
    return int(digits, 8)


def _size(field: bytes) -> int:
    if field[0] < 0x80:
        return _octal(field, "size")
    value = int.from_bytes(field[1:], "big")
    # Only the form that a size needs: base-256 for a small size is a second spelling.
    if field[0] != 0x80 or not _OCTAL_SIZE_LIMIT <= value < _LARGEST:
        raise ArchiveError("a tar header's size is out of range", slug="archive-tar")
    return value
