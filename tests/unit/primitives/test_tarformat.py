from __future__ import annotations

import io
import tarfile

import pytest

from repro.errors import ArchiveError
from repro.primitives.tarformat import (
    END,
    FOLDER,
    HARDLINK,
    SYMLINK,
    Header,
    padding,
    parse,
    parse_pax,
    pax_record,
    render,
)


def tar(*headers: Header, data: bytes = b"") -> tarfile.TarFile:
    raw = b"".join(render(header) for header in headers) + data + bytes(padding(len(data))) + END
    return tarfile.open(fileobj=io.BytesIO(raw), mode="r:")


@pytest.mark.parametrize(
    "name",
    [
        b"a",
        b"x" * 100,
        b"d" * 60 + b"/" + b"f" * 60,
        b"d" * 155 + b"/" + b"f" * 100,
        b"d" * 156 + b"/" + b"f" * 100,
        b"f" * 101,
        b"f" * 255,
        b"\xff\xfe" * 70,
        b"/".join([b"seg"] * 900),
    ],
)
def test_python_reads_every_name(name: bytes) -> None:
    (member,) = tar(Header(name, size=3, mtime=7), data=b"abc").getmembers()
    assert member.name.encode("utf-8", "surrogateescape") == name
    assert (member.size, member.mtime, member.mode) == (3, 7, 0o644)


@pytest.mark.parametrize("length", [1, 98, 99, 100, 154, 155, 156, 300])
def test_python_reads_every_folder_name(length: int) -> None:
    name = b"d" * length + b"/"
    (member,) = tar(Header(name, FOLDER, 0, 0o755)).getmembers()
    assert member.isdir() and member.name == "d" * length


def test_links() -> None:
    link, hard = tar(
        Header(b"s", SYMLINK, 0, 0o777, 0, b"t" * 300), Header(b"h", HARDLINK, link=b"s")
    ).getmembers()
    assert link.issym() and link.linkname == "t" * 300
    assert hard.islnk() and hard.linkname == "s"


def test_sizes_from_8_gib_on() -> None:
    for size in (0, 1, (1 << 33) - 1, 1 << 33, 1 << 45):
        block = render(Header(b"big", size=size))
        assert len(block) == 512
        assert parse(block).size == size
        assert tarfile.TarInfo.frombuf(block, "utf-8", "strict").size == size


def test_every_flipped_bit_of_a_header_is_seen() -> None:
    block = bytearray(render(Header(b"some/name", size=12345, mtime=99)))
    for bit in range(512 * 8):
        block[bit // 8] ^= 1 << bit % 8
        try:
            assert render(parse(bytes(block))) != bytes(block)
        except ArchiveError:
            pass
        block[bit // 8] ^= 1 << bit % 8


def test_pax_lengths_count_themselves() -> None:
    for length in range(0, 1200):
        record = pax_record(b"path", b"x" * length)
        assert int(record.split(b" ")[0]) == len(record)
        assert parse_pax(record) == {b"path": b"x" * length}


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"10 path=ab",
        b"09 path=a\n",
        b"99 path=a\n",
        b"9 pathaa\n",
        b" 9 path=a\n",
        b"-1 path=a\n",
        b"1 \n",
        b"2 \n",
        b"0 \n",
        b"10 path=ab\n" * 2 + b"\0",
        pax_record(b"path", b"a") * 2,
        b"99999999999999 a=b\n",
    ],
)
def test_malformed_pax_is_refused(data: bytes) -> None:
    with pytest.raises(ArchiveError):
        parse_pax(data)
