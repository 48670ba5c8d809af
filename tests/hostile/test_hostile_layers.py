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
from repro.primitives.tarformat import END, FOLDER, GNU_NAME, HARDLINK, Header, render
from repro.primitives.tarread import Limits
from tests.hostile.cases_members import MEMBERS, STREAMS
from tests.hostile.tarbits import FILE, folder, link, member, patched, pax


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


@pytest.mark.parametrize("case", MEMBERS)
def test_hostile_members(case: str, tmp_path: Path) -> None:
    raw, expected = MEMBERS[case]
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


@pytest.mark.parametrize("case", STREAMS)
def test_broken_streams(case: str, tmp_path: Path) -> None:
    raw, expected = STREAMS[case]
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
