"""Layers in a real archive: hostile members, streams that lie, explode or never end."""

from __future__ import annotations

import gzip
import struct
import zlib

import zstandard

from repro.model.oci import LAYER_GZIP, LAYER_PLAIN, LAYER_ZSTD
from repro.primitives.digest import Digest
from repro.primitives.tarformat import END, GNU_NAME, Header, render
from tests.hostile.cases_members import MEMBERS, STREAMS
from tests.hostile.parts import Change, Pack, layer
from tests.hostile.tarbits import FILE, folder, link, member, pax

LAYER = "vx"
PLAIN = FILE + END
SMALL_BOMB = 40 << 20


def plain(data: bytes) -> bytes:
    return data


def then(pack: Pack, extra: bytes) -> Pack:
    return lambda data: pack(data) + extra


def cut(pack: Pack, count: int) -> Pack:
    return lambda data: pack(data)[:-count]


def skippable(claimed: int, given: int) -> bytes:
    """A frame that decoders skip (RFC 8878, section 3.1.2), of another length than it says."""
    return struct.pack("<II", 0x184D2A50, claimed) + bytes(given)


def window(data: bytes) -> bytes:
    """A frame that asks for a window of 4 TiB."""
    return struct.pack("<IBB", 0xFD2FB528, 0, 0xF8) + data


def sized(data: bytes) -> bytes:
    """A frame whose header claims 2**62 bytes."""
    return struct.pack("<IBBQ", 0xFD2FB528, 0xC0, 0x58, 1 << 62) + data


def with_dictionary(data: bytes) -> bytes:
    tool = zstandard.ZstdCompressor(dict_data=zstandard.ZstdCompressionDict(b"data" * 99))
    return tool.compress(data)


def checksum(data: bytes) -> bytes:
    raw = zstandard.ZstdCompressor(write_checksum=True).compress(data)
    return raw[:-1] + bytes([raw[-1] ^ 1])


def gzip_checksum(data: bytes) -> bytes:
    raw = gzip.compress(data)
    return raw[:-8] + bytes([raw[-8] ^ 1]) + raw[-7:]


ZEROS = render(Header(b"zeros", size=SMALL_BOMB)) + bytes(SMALL_BOMB) + END
MANY = b"".join(member(b"f%d" % number) for number in range(2000)) + END
GZ, ZST = (gzip.compress, LAYER_GZIP), (zstandard.compress, LAYER_ZSTD)

BYTES: dict[str, tuple[Change, str]] = {
    # compression
    "plain bytes as zstd": (layer(PLAIN, plain), "zstd data is damaged"),
    "zstd as gzip": (layer(PLAIN, zstandard.compress, LAYER_GZIP), "gzip data is damaged"),
    "gzip as zstd": (layer(PLAIN, gzip.compress), "zstd data is damaged"),
    "gzip as plain": (layer(PLAIN, gzip.compress, LAYER_PLAIN), "code layer"),
    "nothing as zstd": (layer(PLAIN, lambda d: b""), "unpacks to 0 bytes"),
    "nothing as gzip": (layer(PLAIN, lambda d: b"", LAYER_GZIP), "unpacks to 0 bytes"),
    "zstd cut": (layer(PLAIN, cut(zstandard.compress, 5)), "code layer"),
    "zstd cut to its magic": (layer(PLAIN, lambda d: zstandard.compress(d)[:4]), "unpacks to 0 bytes"),
    "gzip cut": (layer(PLAIN, cut(gzip.compress, 9), LAYER_GZIP), "gzip data is damaged"),
    "gzip cut in its header": (
        layer(PLAIN, lambda d: gzip.compress(d)[:7], LAYER_GZIP), "gzip data is damaged",
    ),
    "zstd with a wrong checksum": (layer(PLAIN, checksum), "zstd data is damaged"),
    "gzip with a wrong checksum": (
        layer(PLAIN, gzip_checksum, LAYER_GZIP), "gzip data is damaged",
    ),
    "zlib as gzip": (layer(PLAIN, zlib.compress, LAYER_GZIP), "gzip data is damaged"),
    "zstd and junk": (layer(PLAIN, then(zstandard.compress, b"junk")), "zstd data is damaged"),
    "gzip and junk": (layer(PLAIN, then(gzip.compress, b"junk"), LAYER_GZIP), "is damaged"),
    "a second zstd frame": (
        layer(PLAIN, then(zstandard.compress, zstandard.compress(member(b"g", b"x")))),
        "code layer",
    ),
    "a second gzip member": (
        layer(PLAIN, then(gzip.compress, gzip.compress(member(b"g", b"x"))), LAYER_GZIP),
        "code layer",
    ),
    "a frame of zeros behind": (
        layer(PLAIN, then(zstandard.compress, zstandard.compress(bytes(1 << 20)))),
        "code layer",
    ),
    "a skippable frame of gigabytes": (
        layer(PLAIN, lambda d: skippable(0xFFFFFFFF, 9) + zstandard.compress(d)), "code layer",
    ),
    "a skippable frame cut": (
        layer(PLAIN + member(b"g"), then(lambda d: zstandard.compress(PLAIN), skippable(99, 9))),
        "code layer",
    ),
    "a window of terabytes": (layer(PLAIN, window), "zstd data is damaged"),
    "a frame that claims exabytes": (layer(PLAIN, sized), "zstd data is damaged"),
    "a frame with a dictionary": (layer(PLAIN, with_dictionary), "zstd data is damaged"),
    # sizes
    "more than it says, zstd": (layer(ZEROS, size=4096), "unpacks to more than the 4096 bytes"),
    "more than it says, gzip": (
        layer(ZEROS, *GZ, size=4096), "unpacks to more than the 4096 bytes",
    ),
    "more than it says, plain": (
        layer(PLAIN, plain, LAYER_PLAIN, size=512), "unpacks to more than the 512 bytes",
    ),
    "less than it says": (layer(PLAIN, size=len(PLAIN) + 512), "code layer"),
    "nothing, it says": (layer(PLAIN, size=0), "unpacks to more than the 0 bytes"),
    "zeros behind the end": (
        layer(PLAIN + bytes(SMALL_BOMB), size=len(PLAIN)), "unpacks to more than",
    ),
    "2,000 entries in one sector": (layer(MANY, size=2048), "unpacks to more than"),
    "another diff_id": (layer(PLAIN, diff_id=Digest.of(b"x")), "do not match its diff_id"),
    # links and names, in more ways
    "a chain of links": (
        layer(b"".join(link(b"l%d" % n, b"l%d" % (n + 1)) for n in range(200))
              + link(b"l200", b"/etc") + member(b"l0/x", b"x") + END),
        "'l0/x' lies below something",
    ),
    "a ring of links": (
        layer(link(b"a", b"b") + link(b"b", b"a") + member(b"a/x", b"x") + END),
        "'a/x' lies below something",
    ),
    "a link to /proc": (
        layer(link(b"p", b"/proc/self/root") + member(b"p/etc/x", b"x") + END),
        "lies below something",
    ),
    "a hard link below a symlink": (
        layer(link(b"s", b"/etc") + link(b"s/h", b"f", b"1") + FILE + END), "'s/h'",
    ),
    "a hard link forwards": (layer(link(b"h", b"f", b"1") + FILE + END), "no plain file"),
    "a hard link with data": (
        layer(FILE + member(b"h", b"x", b"1", link=b"f") + END), "has data",
    ),
    "a symlink of 5,000 bytes": (
        layer(pax((b"linkpath", b"x" * 5000)) + link(b"s", b"y") + END), "without a valid target",
    ),
    "a path of 5,000 bytes": (
        layer(member(b"l", b"/".join([b"x" * 200] * 25), GNU_NAME) + FILE + END), "4095 bytes",
    ),
    "a name with an escape and a newline": (
        layer(member(b"a\x1b[31m\nb/../c", b"x") + END), r"'a\x1b[31m\x0ab/../c'",
    ),
    "a name with a bidi mark": (
        layer(member("a\u202ecod/../x".encode(), b"x") + END), r"'a\u202ecod/../x'",
    ),
    "a name that is not UTF-8": (layer(member(b"\xff/../x", b"x") + END), r"'\xff/../x'"),
    "a folder that is sticky and setgid, a file in it setuid": (
        layer(member(b"d/", kind=b"5", mode=0o3777) + member(b"d/s", b"x", mode=0o6755) + END),
        "'d/s' has a setuid or setgid bit",
    ),
    "a character device 0:0": (
        layer(member(b"dev/null", kind=b"3") + END), "'dev/null' is a character device",
    ),
    "a socket": (layer(member(b"sock", kind=b"s") + END), "unknown kind"),
    "a sparse map in pax": (
        layer(pax((b"GNU.sparse.map", b"0,9999999999")) + FILE + END), "not accepted",
    ),
    "a sparse size in pax": (
        layer(pax((b"GNU.sparse.realsize", b"99999999999")) + FILE + END), "not accepted",
    ),
    "an ACL in pax": (
        layer(pax((b"SCHILY.acl.access", b"user::rwx")) + FILE + END), "not accepted",
    ),
    "an unknown pax key": (layer(pax((b"evil\x1b", b"x")) + FILE + END), r"evil\x1b' is a pax key"),
    "a pax length beyond its end": (
        layer(member(b"p", b"12 path=x\n", b"x") + FILE + END), "malformed",
    ),
    "a pax record without a line end": (
        layer(member(b"p", b"9 path=xy", b"x") + FILE + END), "malformed",
    ),
    "a pax length of ten digits": (
        layer(member(b"p", b"9999999999999 path=x\n", b"x") + FILE + END), "malformed",
    ),
    # whiteouts
    "an opaque mark in a file": (
        layer(FILE + member(b"f/.wh..wh..opq") + END), "lies below something",
    ),
    "a whiteout upwards": (layer(member(b"d/../.wh.x") + END), "segment"),
    "a whiteout of a folder with files": (
        layer(folder(b"d/") + member(b"d/f", b"x") + member(b".wh.d") + END), "hides a member",
    ),
    "a whiteout that is a hard link": (
        layer(FILE + link(b".wh.x", b"f", b"1") + END), "no empty file",
    ),
    "a whiteout that is a folder": (layer(folder(b".wh.x/") + END), "no empty file"),
    "an opaque mark twice": (
        layer(member(b"d/.wh..wh..opq") * 2 + END), "appears twice",
    ),
    "a file below a whiteout's name": (
        layer(member(b"d/.wh.x/y", b"z") + END), "",
    ),
}  # fmt: skip

LAYERS: dict[str, tuple[Change, str, str]] = {
    **{f"layer: {name}": (layer(raw + END), says, LAYER) for name, (raw, says) in MEMBERS.items()},
    **{f"layer: {name}": (layer(raw), says, LAYER) for name, (raw, says) in STREAMS.items()},
    **{f"layer: {name}": (change, says, LAYER) for name, (change, says) in BYTES.items()},
}
