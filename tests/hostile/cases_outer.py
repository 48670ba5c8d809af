"""The outer tar: members, order, headers, padding, sums. Every command refuses each."""

from __future__ import annotations

from repro.primitives.canonical import CLAMP
from repro.primitives.digest import Digest
from repro.primitives.tarformat import END, GNU_NAME, HARDLINK, PAX, SYMLINK, Header, render
from repro.store.documents import SUMS
from tests.hostile.parts import (
    INDEX,
    Change,
    Parts,
    add,
    append,
    drop,
    edit,
    image,
    renamed,
    replace,
    second_index,
    set_key,
    unsealed,
    with_header,
)
from tests.hostile.tarbits import member, patched, pax

README = "README"


def before(name: str, raw: bytes) -> Change:
    """Further blocks in front of a member's header."""

    def apply(parts: Parts) -> None:
        header = render(Header(name.encode(), size=len(parts.members[name]), mtime=CLAMP))
        parts.raw[name] = raw + header

    return apply


def field(start: int, value: bytes, name: str = README) -> Change:
    """A member's header with other bytes, its checksum made right again."""

    def apply(parts: Parts) -> None:
        header = render(Header(name.encode(), size=len(parts.members[name]), mtime=CLAMP))
        parts.raw[name] = patched(header, start, value)

    return apply


def moved(name: str, to: int) -> Change:
    def apply(parts: Parts) -> None:
        items = list(parts.members.items())
        items.insert(to, items.pop([n for n, _ in items].index(name)))
        parts.members = dict(items)

    return apply


def twice(parts: Parts) -> None:
    """The manifest's blob a second time, other bytes under the same name."""
    name = parts.image.encode()
    parts.after = member(name, b"{}", mtime=CLAMP) + END


def padded(parts: Parts) -> None:
    """A byte in the padding of the README."""
    data = parts.members[README]
    parts.raw[INDEX] = b""  # replaced below
    header = render(Header(INDEX.encode(), size=len(parts.members[INDEX]), mtime=CLAMP))
    parts.raw[INDEX] = header
    parts.members[README] = data
    parts.after = parts.after[:-1] + b"x"


def many(parts: Parts) -> None:
    """More members than any archive has."""
    parts.members |= {f"blobs/sha256/{number:064x}": b"" for number in range(10_001)}


OUTER: dict[str, tuple[Change, str]] = {
    "a path upwards": (renamed("README", "../README"), "unexpected member '../README'"),
    "an absolute path": (renamed("README", "/etc/passwd"), "unexpected member"),
    "no oci-layout": (drop("oci-layout"), "is not a repro archive"),
    "no index": (drop(INDEX), "unexpected member 'manifest.json'"),
    "no sums": (drop(SUMS), "unexpected member"),
    "nothing but a layout": (
        lambda p: setattr(p, "members", {"oci-layout": p.members["oci-layout"]}),
        "lacks index.json",
    ),
    "no folders": (lambda p: p.folders.clear(), "unexpected member"),
    "one folder": (lambda p: p.folders.pop(), "unexpected member"),
    "a folder more": (lambda p: p.folders.append("blobs/sha512/"), "unexpected member"),
    "a folder twice": (lambda p: p.folders.append("blobs/"), "unexpected member"),
    "a foreign member": (add("blobs/sha256/notes", b"x"), "unexpected member"),
    "a blob in a folder": (add("blobs/sha256/../../x", b"x"), "unexpected member"),
    "a blob nothing names": (
        add("blobs/sha256/" + Digest.of(b"x").hex, b"x"),
        "belongs to nothing",
    ),
    "upper-case digest": (add("blobs/sha256/" + "A" * 64, b"x"), "unexpected member"),
    "a second index": (second_index, "unexpected member 'index.json'"),
    "a symlink": (with_header("README", kind=SYMLINK, link=b"/etc/passwd"), "damaged: the header"),
    "a hard link": (with_header("README", kind=HARDLINK, link=b"index.json"), "damaged"),
    "a fifo": (with_header("README", kind=b"6"), "damaged"),
    "setuid": (with_header("README", mode=0o4755), "damaged"),
    "another time": (with_header("README", mtime=CLAMP + 1), "damaged"),
    "a size too small": (with_header("README", size=3), "damaged: the padding after README"),
    "a size beyond the end": (with_header("README", size=1 << 40), "cut off inside README"),
    "data after the end": (append(b"x"), "1 bytes after its end"),
    "a second archive after the end": (append(b"\0" * 1024), "1024 bytes after its end"),
    "no end": (lambda p: setattr(p, "after", b""), "cut off"),
    "half an end": (lambda p: setattr(p, "after", bytes(512)), "cut off at its end"),
    # sums
    "sums of other bytes": (unsealed(replace("README", b"run this: ...")), "README of"),
    "index not as summed": (unsealed(edit(INDEX, set_key("x", to=1))), "does not match SHA256SUMS"),
    "a line more": (
        unsealed(lambda p: p.put(SUMS, p.members[SUMS] + b"0  x\n")),
        "more lines than files",
    ),
    "a line less": (
        unsealed(lambda p: p.put(SUMS, p.members[SUMS].rsplit(b"\n", 2)[0] + b"\n")),
        "README of",
    ),
    # further members
    "a path with a dot": (renamed(README, "./README"), "unexpected member './README'"),
    "a name in capitals": (renamed(README, "readme"), "unexpected member 'readme'"),
    "a name with escapes": (renamed(README, "\x1b[2J\nREADME"), r"'\x1b[2J\x0aREADME'"),
    "a name of 2,000 bytes": (renamed(README, "n" * 2000), "damaged: the header"),
    "a name that is not UTF-8": (renamed(README, "\udcff"), r"unexpected member '\xff'"),
    "index before layout": (moved(INDEX, 0), "is not a repro archive"),
    "a blob before the head": (
        lambda p: moved(p.image, 1)(p),
        "has the unexpected member 'blobs/'",
    ),
    "README twice": (before(README, member(b"README", b"x", mtime=CLAMP)), "member 'README'"),
    "a blob twice": (twice, "unexpected member 'blobs/sha256/"),
    "a folder with data": (
        before(README, member(b"blobs/", b"x", b"5", mtime=CLAMP)),
        "damaged: the header",
    ),
    "ten thousand blobs": (many, "unexpected member 'blobs/sha256/0000"),
    # further headers
    "a character device": (with_header(README, kind=b"3"), "damaged: the header"),
    "a block device": (with_header(README, kind=b"4"), "damaged: the header"),
    "a sparse file": (with_header(README, kind=b"S"), "damaged: the header"),
    "a contiguous file": (with_header(README, kind=b"7"), "damaged: the header"),
    "a volume label": (with_header(README, kind=b"V"), "damaged: the header"),
    "of an unknown kind": (with_header(README, kind=b"Z"), "damaged: the header"),
    "with an owner": (field(108, b"0001750\0"), "damaged: the header"),
    "with a user's name": (field(265, b"root\0"), "damaged: the header"),
    "with a prefix": (field(345, b"../.."), "damaged: the header"),
    "with a link target": (field(157, b"/etc/passwd\0"), "damaged: the header"),
    "gnu magic": (field(257, b"ustar  \0"), "damaged: the header"),
    "no magic": (field(257, bytes(8)), "damaged: the header"),
    "a size in base 256": (field(124, b"\x80" + bytes(10) + b"\x09"), "damaged: the header"),
    "a negative size": (field(124, b"\xff" * 12), "damaged: the header"),
    "a size that is no number": (field(124, b"12345678901Z"), "damaged: the header"),
    "a size with blanks": (field(124, b"        17\0\0"), "damaged: the header"),
    "a wrong checksum": (
        lambda p: p.raw.update({README: field_of(p)[:150] + b"7" + field_of(p)[151:]}),
        "damaged: the header",
    ),
    "bytes after a name's end": (field(90, b"x"), "damaged: the header"),
    "bytes in a header's rest": (field(505, b"x"), "damaged: the header"),
    # extensions
    "a pax path": (before(README, pax((b"path", b"../evil"))), "damaged: the header"),
    "a pax size": (before(README, pax((b"size", b"3"))), "damaged: the header"),
    "a pax comment": (before(README, pax((b"comment", b"x"))), "damaged: the header"),
    "a global pax": (before(README, member(b"g", b"9 path=x\n", b"g")), "damaged: the header"),
    "a pax of a megabyte": (before(README, member(b"p", bytes(1 << 20), PAX)), "damaged"),
    "a long name": (before(README, member(b"././@LongLink", b"x\0", GNU_NAME)), "damaged"),
    "a zero block inside": (before(README, bytes(512)), "damaged: its end"),
    "an end inside": (before(README, END), "lacks README"),
    # ends
    "a byte in the last block": (padded, "damaged: its end"),
    "a megabyte of zeros after the end": (append(bytes(1 << 20)), "1048576 bytes after its end"),
    "a tar after the end": (append(member(b"x", b"y") + END), "bytes after its end"),
    "cut inside a header": (lambda p: setattr(p, "after", b"blobs/sha"), "cut off at byte"),
    "a manifest of nothing summed": (
        unsealed(edit(image, set_key("schemaVersion", to=3))),
        "does not match SHA256SUMS",
    ),
    "sums of another algorithm": (
        unsealed(lambda p: p.put(SUMS, b"0" * 32 + b"  README\n")),
        "oci-layout of",
    ),
    "sums with a path": (
        unsealed(lambda p: p.put(SUMS, p.members[SUMS].replace(b"README", b"../etc"))),
        "README of",
    ),
    "sums with carriage returns": (
        unsealed(lambda p: p.put(SUMS, p.members[SUMS].replace(b"\n", b"\r\n"))),
        "oci-layout of",
    ),
    "a README of two megabytes": (replace(README, b"x" * (2 << 20)), "README is larger than"),
    "empty": (lambda p: (p.members.clear(), p.folders.clear()), "is not a repro archive"),
}  # fmt: skip


def field_of(parts: Parts) -> bytes:
    return render(Header(README.encode(), size=len(parts.members[README]), mtime=CLAMP))
