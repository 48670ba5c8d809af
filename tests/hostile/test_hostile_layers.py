"""Layers that escape, lie or explode: each is refused in one line, and nothing is outside."""

from __future__ import annotations

import gzip
import io
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from repro.errors import ArchiveError
from repro.image.unpack import unpack_layer
from repro.model.oci import LAYER_GZIP, LAYER_PLAIN, LAYER_ZSTD
from repro.primitives.digest import Digest
from repro.primitives.files import walk
from repro.primitives.tarformat import (
    END,
    FOLDER,
    GNU_LINK,
    GNU_NAME,
    HARDLINK,
    PAX,
    SYMLINK,
    Header,
    padding,
    pax_record,
    render,
)
from repro.primitives.tarread import Limits


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
HOSTILE: dict[str, tuple[bytes, str]] = {
    # ways out
    "absolute": (member(b"/etc/evil", b"x"), "'/etc/evil' has an absolute name"),
    "parent": (member(b"../evil", b"x"), "segment"),
    "parent inside": (member(b"a/../../evil", b"x"), "segment"),
    "parent at the end": (folder(b"a/.."), "segment"),
    "parent alone": (folder(b".."), "segment"),
    "dot inside": (member(b"a/./b", b"x"), "segment"),
    "empty segment": (member(b"a//b", b"x"), "segment"),
    "two slashes": (folder(b"a//"), "segment"),
    "no name": (member(b"", b"x"), "no valid name"),
    "slash alone": (folder(b"/"), "absolute"),
    "root as a file": (member(b"./", b"x"), "replaces the root"),
    "root as a link": (link(b"./", b"/etc"), "replaces the root"),
    "below a symlink": (link(b"a", b"/tmp") + member(b"a/evil", b"x"), "lies below something"),
    "below a relative symlink": (
        link(b"a", b"..") + member(b"a/evil", b"x"),
        "lies below something",
    ),
    "below two symlinks": (
        link(b"a", b"b") + link(b"b", b"/tmp") + member(b"a/x/evil", b"x"),
        "lies below something",
    ),
    "folder over a symlink": (link(b"a", b"/tmp") + folder(b"a"), "appears twice"),
    "file over a symlink": (link(b"a", b"/tmp/x") + member(b"a", b"x"), "appears twice"),
    "below a file": (FILE + member(b"f/x", b"x"), "lies below something"),
    "hard link to the outside": (link(b"h", b"/etc/passwd", HARDLINK), "absolute link target"),
    "hard link upwards": (link(b"h", b"../../etc/passwd", HARDLINK), "segment"),
    "hard link to nothing": (link(b"h", b"none", HARDLINK), "no plain file"),
    "hard link to a symlink": (
        link(b"s", b"/etc/passwd") + link(b"h", b"s", HARDLINK),
        "no plain file",
    ),
    "hard link to a folder": (folder(b"d") + link(b"h", b"d", HARDLINK), "no plain file"),
    "hard link to itself": (link(b"h", b"h", HARDLINK), "no plain file"),
    "hard link through a symlink": (
        folder(b"d") + member(b"d/f", b"x") + link(b"s", b"d") + link(b"h", b"s/f", HARDLINK),
        "no plain file",
    ),
    "hard link without target": (link(b"h", b"", HARDLINK), "no valid link target"),
    "symlink without target": (link(b"s", b""), "without a valid target"),
    # kinds
    "character device": (member(b"dev", kind=b"3"), "is a character device"),
    "block device": (member(b"dev", kind=b"4"), "is a block device"),
    "fifo": (member(b"pipe", kind=b"6"), "is a FIFO"),
    "contiguous": (member(b"c", kind=b"7"), "contiguous"),
    "gnu sparse": (member(b"s", kind=b"S"), "sparse"),
    "global pax": (member(b"g", pax_record(b"path", b"x"), b"g"), "has data"),
    "unknown kind": (member(b"u", kind=b"Z"), "unknown kind"),
    "setuid": (member(b"su", b"x", mode=0o4755), "setuid"),
    "setgid": (member(b"sg", b"x", mode=0o2755), "setuid or setgid"),
    "folder's name": (member(b"f/", b"x"), "folder's name"),
    "symlink with data": (member(b"s", b"x", SYMLINK, link=b"t"), "has data"),
    "folder with data": (member(b"d/", b"x", FOLDER), "has data"),
    # names twice
    "twice": (FILE + FILE, "'f' appears twice"),
    "twice by spelling": (FILE + member(b"./f", b"x"), "appears twice"),
    "folder twice": (folder(b"d") + folder(b"d/"), "appears twice"),
    "folder then file": (folder(b"d") + member(b"d", b"x"), "appears twice"),
    # headers
    "bad checksum": (FILE[:149] + b"7" + FILE[150:], "wrong checksum"),
    "no magic": (patched(FILE, 257, b"nottar\0\0"), "unknown kind"),
    "no number": (patched(FILE, 124, b"0000000zz00\0"), "not a number"),
    "negative base-256": (patched(FILE, 124, b"\xff" * 12), "out of range"),
    "small base-256": (
        patched(FILE, 124, b"\x80" + (4).to_bytes(11, "big")),
        "out of range",
    ),
    "huge base-256": (patched(FILE, 124, b"\x80" + b"\xff" * 11), "out of range"),
    "huge size": (member(b"big", size=1 << 41), "exceeds the limit"),
    "huge time": (patched(FILE, 136, b"777777777777"), "time out of range"),
    "size beyond the end": (member(b"big", b"x", size=5000), "ends early in 'big'"),
    "data in the padding": (FILE[:-1] + b"x", "data in its padding"),
    # extensions
    "pax size": (pax((b"size", b"9999")) + FILE, "two different sizes"),
    "pax sparse": (pax((b"GNU.sparse.major", b"1")) + FILE, "not accepted"),
    "pax capability": (pax((b"SCHILY.xattr.security.capability", b"x")) + FILE, "not accepted"),
    "pax charset": (pax((b"hdrcharset", b"BINARY")) + FILE, "not accepted"),
    "pax path with zero": (pax((b"path", b"a\0b")) + FILE, "not accepted"),
    "pax empty path": (pax((b"path", b"")) + FILE, "not accepted"),
    "pax path upwards": (pax((b"path", b"../evil")) + FILE, "segment"),
    "pax absolute": (pax((b"path", b"/etc/evil")) + FILE, "absolute"),
    "pax link outside": (pax((b"linkpath", b"/etc/passwd")) + link(b"h", b"f", HARDLINK), "absol"),
    "pax twice": (pax((b"path", b"a")) + pax((b"path", b"b")) + FILE, "second extension"),
    "empty pax twice": (pax((b"mtime", b"1")) * 2 + FILE, "second extension"),
    "pax without member": (pax((b"path", b"a")), "has no member"),
    "pax malformed": (member(b"p", b"999 path=x\n", PAX) + FILE, "malformed"),
    "pax bomb": (member(b"p", bytes(1 << 20), PAX) + FILE, "extension header over"),
    "long name bomb": (member(b"l", b"x" * (1 << 20), GNU_NAME) + FILE, "extension header over"),
    "long name over 4095": (member(b"l", b"x/" * 2100 + b"x", GNU_NAME) + FILE, "levels"),
    "long segment": (member(b"l", b"x" * 256, GNU_NAME) + FILE, "segment over 255"),
    "long name with zero": (member(b"l", b"a\0b\0", GNU_NAME) + FILE, "long name is not valid"),
    "long name upwards": (member(b"l", b"../evil\0", GNU_NAME) + FILE, "segment"),
    "long name and pax": (
        member(b"l", b"a\0", GNU_NAME) + pax((b"path", b"b")) + FILE,
        "second extension",
    ),
    "long link outside": (
        member(b"l", b"/etc/passwd\0", GNU_LINK) + link(b"h", b"f", HARDLINK),
        "absolute",
    ),
    "deep": (member(b"/".join([b"d"] * 300), b"x"), "levels"),
    # whiteouts
    "opaque root": (member(b".wh..wh..opq"), "root folder opaque"),
    "whiteout of nothing": (member(b"d/.wh."), "no valid name"),
    "whiteout of dot": (member(b"d/.wh.."), "no valid name"),
    "whiteout of the parent": (member(b"d/.wh..."), "no valid name"),
    "whiteout of a whiteout": (member(b"d/.wh..wh.x"), "no valid name"),
    "whiteout with data": (member(b"d/.wh.x", b"x"), "no empty file"),
    "whiteout as a symlink": (link(b"d/.wh.x", b"/etc"), "no empty file"),
    "whiteout of its own": (FILE + member(b".wh.f"), "hides a member"),
    "whiteout and file": (member(b".wh.f") + FILE, "appears twice"),
    "whiteout twice": (member(b".wh.f") + member(b".wh.f"), "appears twice"),
    "opaque below a symlink": (
        link(b"a", b"/tmp") + member(b"a/.wh..wh..opq"),
        "lies below something",
    ),
    "whiteout below a symlink": (link(b"a", b"/tmp") + member(b"a/.wh.x"), "lies below"),
    "below a whiteout": (member(b".wh.f") + member(b"f/x", b"x"), "lies below something"),
    # names for the terminal
    "escape in the name": (member(b"/\x1b[2J\nx", b"x"), r"'/\x1b[2J\x0ax' has an absolute"),
    "very long name": (member(b"/" + b"y" * 99, b"x"), "absolute"),
}
BROKEN_STREAMS: dict[str, tuple[bytes, str]] = {
    "no end": (FILE, "ends early"),
    "empty": (b"", "ends early"),
    "half a block": (FILE + bytes(100), "ends early"),
    "one zero block": (FILE + bytes(512), "ends early"),
    "zero block inside": (FILE + bytes(512) + member(b"g", b"x") + END, "one zero block"),
    "data after the end": (FILE + END + b"x" * 512, "after the end"),
    "a second tar after the end": (FILE + END + member(b"g", b"x") + END, "after the end"),
}


def sentinel(tmp_path: Path) -> tuple[Path, Callable[[], object]]:
    """A target deep inside, and a picture of everything around it."""
    dest = tmp_path / "around" / "dest"
    dest.mkdir(parents=True)
    (tmp_path / "around" / "evil").write_text("untouched")

    def picture() -> object:
        found = []
        for path, status in walk(str(tmp_path)):
            if not path.startswith("around/dest/"):
                times = () if path == "around/dest" else (status.st_mtime_ns, status.st_ctime_ns)
                found.append((path, status.st_mode, times))
        return found

    return dest, picture


def refuse(
    raw: bytes, dest: Path, media: str = LAYER_PLAIN, plain: bytes | None = None, **limits: int
) -> ArchiveError:
    digest = Digest.of(raw if plain is None else plain)
    with pytest.raises(ArchiveError) as error:
        unpack_layer(io.BytesIO(raw), media, dest, digest, limits=Limits(**limits))
    message = error.value.message
    assert len(message) <= 200 and message.isprintable()
    assert error.value.exit_code == 4
    return error.value


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_members(case: str, tmp_path: Path) -> None:
    raw, expected = HOSTILE[case]
    dest, picture = sentinel(tmp_path)
    before = picture()
    error = refuse(raw + END, dest)
    assert expected in error.message
    assert picture() == before
    for _, status in walk(str(dest)):
        assert not status.st_mode & 0o6000
        assert stat.S_IFMT(status.st_mode) in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK) or (
            stat.S_ISCHR(status.st_mode) and status.st_rdev == 0
        )


@pytest.mark.parametrize("case", BROKEN_STREAMS)
def test_broken_streams(case: str, tmp_path: Path) -> None:
    raw, expected = BROKEN_STREAMS[case]
    assert expected in refuse(raw, tmp_path).message


def test_another_diff_id(tmp_path: Path) -> None:
    raw = FILE + END
    error = refuse(raw, tmp_path, plain=b"something else")
    assert "do not match its diff_id" in error.message
    assert str(Digest.of(raw)) in error.details[0]


def test_a_hidden_second_frame(tmp_path: Path) -> None:
    first = FILE + END
    for extra in (b"\0" * 512, member(b"g", b"x")):
        raw = zstandard.compress(first) + zstandard.compress(extra)
        refuse(raw, tmp_path, LAYER_ZSTD, plain=first)
        (tmp_path / "f").unlink()


def test_a_truncated_frame(tmp_path: Path) -> None:
    plain = FILE + END
    raw = zstandard.ZstdCompressor(write_checksum=True).compress(os.urandom(4096) + plain)
    refuse(raw[:-20], tmp_path, LAYER_ZSTD, plain=plain)


@pytest.mark.parametrize(("media", "pack"), [
    (LAYER_ZSTD, zstandard.compress), (LAYER_GZIP, gzip.compress),
])  # fmt: skip
def test_trailing_bytes(media: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    plain = FILE + END
    assert "is damaged" in refuse(pack(plain) + b"junk", tmp_path, media, plain=plain).message


def test_a_bomb_stops_early(tmp_path: Path) -> None:
    size = 64 << 20
    plain = render(Header(b"zeros", size=size))
    raw = zstandard.compress(plain + bytes(size) + END)
    error = refuse(raw, tmp_path, LAYER_ZSTD, plain=b"", floor=4 << 20, ratio=100)
    assert error.slug == "archive-limit"
    assert "more than 100 times its size" in error.message
    assert (tmp_path / "zeros").stat().st_size < 24 << 20


def test_a_bomb_of_nothing_but_end(tmp_path: Path) -> None:
    raw = zstandard.compress(bytes(64 << 20))
    error = refuse(raw, tmp_path, LAYER_ZSTD, plain=b"", floor=4 << 20, ratio=100)
    assert error.slug == "archive-limit"


def test_too_many_entries(tmp_path: Path) -> None:
    raw = b"".join(member(b"f%d" % number) for number in range(50)) + END
    error = refuse(raw, tmp_path, entries=49)
    assert (error.slug, error.message) == ("archive-limit", "more than 49 entries in one layer")


def test_too_much_in_all(tmp_path: Path) -> None:
    raw = member(b"a", bytes(600)) + member(b"b", bytes(600)) + END
    assert "'b' exceeds the limit of 1000" in refuse(raw, tmp_path, total=1000).message


def test_an_unknown_media_type(tmp_path: Path) -> None:
    error = refuse(FILE + END, tmp_path, "application/x\x1b[2J")
    assert "unknown media type" in error.message


def test_a_target_that_is_not_empty_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("mine")
    refuse(FILE + END, tmp_path)
    assert (tmp_path / "f").read_text() == "mine"
    (tmp_path / "a").symlink_to("/tmp")
    refuse(member(b"a/x", b"x") + END, tmp_path)


HONEST = {
    "gnu tar's record padding": FILE + END + bytes(10240),
    "root entry": folder(b"./") + member(b"./f", b"data"),
    "missing parents": member(b"a/b/f", b"data"),
    "parents late": member(b"a/f", b"data") + folder(b"a/"),
    "old gnu magic": patched(FILE, 257, b"ustar  \0"),
    "nul kind": patched(FILE, 156, b"\0"),
    "pax times": pax((b"mtime", b"1.5"), (b"uid", b"1000")) + FILE,
    "pax same size": pax((b"size", b"4")) + FILE,
    "long name": member(b"././@LongLink", b"f" * 200 + b"\0", GNU_NAME) + FILE,
    "sticky folder": member(b"tmp/", kind=FOLDER, mode=0o1777),
    "dangling symlink": link(b"s", b"/no/where/../.."),
    "unsorted": member(b"b/x", b"1") + member(b"a/x", b"2") + member(b"b/y", b"3"),
    "hard link to a hard link": FILE + link(b"g", b"f", HARDLINK) + link(b"h", b"./g", HARDLINK),
}


@pytest.mark.parametrize("case", HONEST)
def test_honest_but_unusual(case: str, tmp_path: Path) -> None:
    raw = HONEST[case] + END
    for number, (media, pack) in enumerate(
        ((LAYER_PLAIN, bytes), (LAYER_GZIP, gzip.compress), (LAYER_ZSTD, zstandard.compress))
    ):
        dest = tmp_path / str(number)
        dest.mkdir()
        count = unpack_layer(io.BytesIO(pack(raw)), media, dest, Digest.of(raw), limits=Limits())
        assert count >= 1
        assert not any(
            s.st_mode & 0o6022 for _, s in walk(str(dest)) if not stat.S_ISLNK(s.st_mode)
        )


def test_whiteouts_become_overlay_whiteouts(tmp_path: Path) -> None:
    raw = member(b"d/.wh.gone") + folder(b"e/") + member(b"e/.wh..wh..opq") + member(b"e/new", b"1")
    raw += END
    probe = tmp_path / "probe"
    probe.mkdir()
    try:
        os.setxattr(probe, b"user.overlay.opaque", b"y")
        os.mknod(probe / "wh", stat.S_IFCHR, 0)
    except OSError as error:
        pytest.skip(f"whiteouts cannot be made here: {error}")
    dest = tmp_path / "dest"
    dest.mkdir()
    unpack_layer(io.BytesIO(raw), LAYER_PLAIN, dest, Digest.of(raw), limits=Limits())
    status = (dest / "d" / "gone").lstat()
    assert stat.S_ISCHR(status.st_mode) and status.st_rdev == 0
    assert os.getxattr(dest / "e", b"user.overlay.opaque") == b"y"
    assert (dest / "e" / "new").read_bytes() == b"1"
