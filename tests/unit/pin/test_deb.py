from __future__ import annotations

import io
import lzma
import tarfile

import pytest

from repro.pin.deb import DebError, DebMember, read_deb, read_md5sums
from tests.package_files import ar, deb, gzipped, sha256, tarred

FILES: dict[str, bytes | str] = {
    "./usr/bin/tool": b"\x7fELF" * 300,
    "./usr/bin/also": "tool",
    "./etc/tool.conf": b"a=1\n",
    "./" + "long/" * 40 + "name": b"deep",
}


def read(data: bytes) -> dict[str, DebMember]:
    return read_deb(io.BytesIO(data)).members


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".zst"])
def test_every_compression(suffix: str) -> None:
    found = read_deb(io.BytesIO(deb(FILES, conffiles="/etc/tool.conf\n", suffix=suffix)))
    assert found.members["/usr/bin/tool"] == DebMember(sha256=sha256(b"\x7fELF" * 300))
    assert found.members["/usr/bin/also"] == DebMember(target="tool")
    assert found.members["/" + "long/" * 40 + "name"].sha256 == sha256(b"deep")
    assert found.configuration == {"/etc/tool.conf"}


def test_flags_of_conffiles() -> None:
    found = read_deb(io.BytesIO(deb({}, conffiles="remove-on-upgrade /etc/old\n/etc/a b\n")))
    assert "/etc/old" in found.configuration


def test_hard_links_share_bytes() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        first = tarfile.TarInfo("./a")
        first.size = 3
        archive.addfile(first, io.BytesIO(b"abc"))
        second = tarfile.TarInfo("./b")
        second.type, second.linkname = tarfile.LNKTYPE, "./a"
        archive.addfile(second)
    data = ar({"debian-binary": b"2.0\n", "control.tar": tarred({}), "data.tar": out.getvalue()})
    assert read(data)["/b"] == DebMember(sha256=sha256(b"abc"))


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".zst"])
def test_cut_at_many_places(suffix: str) -> None:
    data = deb(FILES, suffix=suffix)
    for cut in (0, 5, 8, 40, 68, 100, len(data) // 2, len(data) - 1500, len(data) - 3):
        with pytest.raises(DebError):
            read(data[: max(cut, 0)])


def part(data: bytes, suffix: str = "") -> bytes:
    return ar(
        {"debian-binary": b"2.0\n", "control.tar": tarred({}), f"data.tar{suffix}": data}
    )  # fmt: skip


@pytest.mark.parametrize("name", ["../up", "/abs", "a/../../b", "./a//b", "x/" * 300 + "y"])
def test_names_that_lead_elsewhere(name: str) -> None:
    with pytest.raises(DebError):
        read(part(tarred({name: b"1"})))


def test_a_bomb_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    from repro.pin import deb as module
    from repro.primitives.tarread import Limits

    monkeypatch.setattr(module, "_LIMITS", Limits(total=1 << 20))
    bomb = tarred({"./a": bytes(30 << 20)})
    for data, suffix in ((lzma.compress(bomb), ".xz"), (gzipped(bomb), ".gz")):
        assert len(data) < 100_000
        with pytest.raises(DebError, match="limit"):
            read(part(data, suffix))


def test_xz_that_asks_for_too_much_memory() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    tool = lzma.LZMACompressor(lzma.FORMAT_XZ, filters=filters)
    data = tool.compress(tarred({"./a": b"1"})) + tool.flush()
    with pytest.raises(DebError, match="damaged"):
        read(part(data, ".xz"))


def test_data_after_the_end() -> None:
    with pytest.raises(DebError, match="after its end"):
        read(part(lzma.compress(tarred({"./a": b"1"})) + b"more", ".xz"))
    with pytest.raises(DebError):
        read(part(tarred({"./a": b"1"}) + b"more"))


def test_members_out_of_the_ordinary() -> None:
    device = io.BytesIO()
    with tarfile.open(fileobj=device, mode="w", format=tarfile.GNU_FORMAT) as archive:
        item = tarfile.TarInfo("./dev/sda")
        item.type = tarfile.BLKTYPE
        archive.addfile(item)
    for data in (
        part(device.getvalue()),
        part(tarred({"./a": b"1"}), ".lz4"),
        ar({"debian-binary": b"2.0\n", "evil": b"", "control.tar": b"", "data.tar": b""}),
        ar({"control.tar": tarred({}), "data.tar": tarred({})}),
        ar({"debian-binary": b"2.0\n", "data.tar": tarred({})}),
        ar({"debian-binary": b"2.0\n", **{f"_{n}": b"" for n in range(30)}}),
        b"",
        b"<html>",
    ):
        with pytest.raises(DebError):
            read(data)


def test_a_name_twice() -> None:
    with pytest.raises(DebError, match="twice"):
        read(part(tarred({"./a": b"1", "a": b"2"})))


def test_md5sums() -> None:
    data = b"d41d8cd98f00b204e9800998ecf8427e  usr/bin/a b\nbad line\n" + b"0" * 32 + b"  /abs\n"
    assert read_md5sums(data) == {"/usr/bin/a b": "d41d8cd98f00b204e9800998ecf8427e"}
