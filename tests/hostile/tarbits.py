"""Tar members as a stranger may write them, byte by byte."""

from __future__ import annotations

from repro.primitives.tarformat import (
    FOLDER,
    PAX,
    SYMLINK,
    Header,
    padding,
    pax_record,
    render,
)


def member(name: bytes, data: bytes = b"", kind: bytes = b"0", **more: object) -> bytes:
    header = Header(name, kind, more.pop("size", len(data)), **more)  # type: ignore[arg-type]
    return render(header) + data + bytes(padding(len(data)))


def folder(name: bytes) -> bytes:
    return member(name, kind=FOLDER, mode=0o755)


def link(name: bytes, target: bytes, kind: bytes = SYMLINK) -> bytes:
    return member(name, kind=kind, link=target)


def patched(block: bytes, start: int, value: bytes) -> bytes:
    """A header with other bytes in a field, its checksum made right again."""
    raw = block[:start] + value + block[start + len(value) :]
    raw = raw[:148] + b" " * 8 + raw[156:]
    return raw[:148] + b"%06o\0 " % sum(raw[:512]) + raw[156:]


def pax(*records: tuple[bytes, bytes]) -> bytes:
    return member(b"././@PaxHeader", b"".join(pax_record(k, v) for k, v in records), PAX)


FILE = member(b"f", b"data")
