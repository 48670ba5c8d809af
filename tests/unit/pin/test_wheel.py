from __future__ import annotations

import io
import struct
import zipfile

import pytest
from packaging.tags import Tag

from repro.pin.wheel import Place, Wheel, WheelError, fits, read_record, tags_of
from tests.package_files import row, sha256, wheel_files, zipped

SITE = "/v/lib/python3.11/site-packages"
FILES = {
    "num/__init__.py": b"x = 1\n",
    "num-1.0.data/scripts/tool": b"#!python\nprint(1)\n",
    "num-1.0.data/data/share/num/a.txt": b"a",
    "num-1.0.data/headers/num.h": b"int x;",
    "num-1.0.data/platlib/num/fast.so": b"\x7fELF",
}


def opened(data: bytes) -> Wheel:
    return Wheel(io.BytesIO(data))


def test_where_members_go() -> None:
    places = opened(zipped(wheel_files("num", "1.0", FILES))).places(SITE)
    assert places["num/__init__.py"] == Place(path=f"{SITE}/num/__init__.py")
    assert places["num-1.0.data/scripts/tool"] == Place(path="/v/bin/tool", script=True)
    assert places["num-1.0.data/data/share/num/a.txt"].path == "/v/share/num/a.txt"
    assert places["num-1.0.data/headers/num.h"].path == "/v/include/site/python3.11/num/num.h"
    assert places["num-1.0.data/platlib/num/fast.so"].path == f"{SITE}/num/fast.so"


def test_hashes_and_bytes() -> None:
    wheel = opened(zipped(wheel_files("num", "1.0", FILES)))
    assert wheel.sha256("num/__init__.py") == sha256(b"x = 1\n")
    assert wheel.read("num/__init__.py") == b"x = 1\n" and wheel.read("none") == b""
    assert wheel.info == "num-1.0.dist-info"


@pytest.mark.parametrize("cut", [0, 1, 30, 200, -1, -10, -40])
def test_a_cut_wheel_is_refused(cut: int) -> None:
    data = zipped(wheel_files("num", "1.0", {"num.py": b"x" * 5000}))
    with pytest.raises(WheelError):
        opened(data[:cut])


def test_damaged_bytes_of_a_member() -> None:
    data = bytearray(zipped({**wheel_files("num", "1.0", {}), "num.py": b"abc" * 99}, 0))
    at = data.index(b"abcabc")
    data[at] ^= 1
    with pytest.raises(WheelError, match="damaged"):
        opened(bytes(data)).sha256("num.py")


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../up.py", "a/../../b", "a//b", "./a", "a\\b", "x" * 5000, "n\0m.py"]
)
def test_names_that_lead_elsewhere(name: str) -> None:
    members = wheel_files("num", "1.0", {})
    data = zipped({**members, name.replace("\0", "#"): b"1"})
    if "\0" in name:  # zipfile itself will not write it
        data = data.replace(b"n#m.py", b"n\0m.py")
    with pytest.raises(WheelError, match="name"):
        opened(data)


def test_the_same_name_twice() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, pytest.warns(UserWarning):
        for name in (*wheel_files("num", "1.0", {}), "num.py", "num.py"):
            archive.writestr(name, name)
    with pytest.raises(WheelError, match="twice"):
        opened(out.getvalue())


def test_a_bomb_costs_no_more_than_what_it_declares() -> None:
    data = bytearray(zipped(wheel_files("num", "1.0", {"num.py": b"\0" * 5_000_000})))
    assert len(data) < 20_000
    # The directory says ten bytes where five million come out.
    at = data.index(b"PK\1\2")
    assert data[at + 46 : at + 52] == b"num.py"
    struct.pack_into("<I", data, at + 24, 10)
    wheel = opened(bytes(data))
    assert wheel.members["num.py"] == 10
    with pytest.raises(WheelError, match="damaged"):  # ten bytes, and their checksum is wrong
        wheel.sha256("num.py")


def test_a_text_over_its_limit_is_not_read() -> None:
    wheel = opened(zipped(wheel_files("num", "1.0", {"num.py": b"\0" * 17_000_000})))
    with pytest.raises(WheelError, match="over"):
        wheel.read("num.py")


def test_a_directory_that_would_fill_the_memory() -> None:
    data = bytearray(zipped(wheel_files("num", "1.0", {})))
    end = data.rindex(b"PK\5\6")
    struct.pack_into("<I", data, end + 12, 100 << 20)
    with pytest.raises(WheelError, match="too many"):
        opened(bytes(data))


def test_zip64_is_refused() -> None:
    data = zipped(wheel_files("num", "1.0", {}))
    end = data.rindex(b"PK\5\6")
    locator = b"PK\6\7" + bytes(16)
    with pytest.raises(WheelError, match="zip64"):
        opened(data[:end] + locator + data[end:])


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_compression(method: int) -> None:
    with pytest.raises(WheelError, match="unknown way"):
        opened(zipped(wheel_files("num", "1.0", {"num.py": b"x" * 99}), method))


def test_encrypted_members() -> None:
    data = bytearray(zipped(wheel_files("num", "1.0", {})))
    data[data.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(WheelError, match="unknown way"):
        opened(bytes(data))


def test_a_wheel_needs_one_record() -> None:
    with pytest.raises(WheelError, match="RECORD"):
        opened(zipped({"num.py": b""}))
    with pytest.raises(WheelError, match="RECORD"):
        opened(zipped({**wheel_files("a", "1", {}), **wheel_files("b", "1", {})}))


def test_no_zip_at_all() -> None:
    for data in (b"", b"<html>no</html>", b"PK\5\6"):
        with pytest.raises(WheelError):
            opened(data)


ANY = frozenset({Tag("py3", "none", "any")})


@pytest.mark.parametrize(
    ("filename", "fitting"),
    [
        ("num-1.0-py3-none-any.whl", True), ("Num-1.0.0-py3-none-any.whl", True),
        ("num-1.0-1-py3-none-any.whl", True), ("num-1.0-py2.py3-none-any.whl", True),
        ("num-1.1-py3-none-any.whl", False), ("num-1.0-cp311-cp311-win32.whl", False),
        ("num-1.0.tar.gz", False), ("other-1.0-py3-none-any.whl", False), ("num", False),
    ],
)  # fmt: skip
def test_which_wheel_fits(filename: str, fitting: bool) -> None:
    assert fits(filename, "num", "1.0", ANY) is fitting


def test_tags_of_a_wheel_file() -> None:
    found = tags_of(b"Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_17_x86_64\nTag: odd\n")
    assert found == {Tag("cp311", "cp311", "manylinux_2_17_x86_64")}


def test_record_rows() -> None:
    data = (row("num.py", b"x") + 'a,"b"\n../../../bin/t,,\n"c,d.py",sha256=!!,1\n').encode()
    assert read_record(data, SITE) == {
        f"{SITE}/num.py": sha256(b"x"), f"{SITE}/a": None, "/v/bin/t": None,
        f"{SITE}/c,d.py": None,
    }  # fmt: skip


@pytest.mark.parametrize("data", [b'a,"' + b"x" * 200_000, b"x" * 5000 + b",,\n", b"a\0b,,\n"])
def test_a_damaged_record(data: bytes) -> None:
    with pytest.raises(ValueError):
        read_record(data, SITE)
