"""Which addresses are told and asked for, and where older Debian packages may lie."""

from __future__ import annotations

import hashlib
import io

import pytest

from repro.pin.deb_places import likely_urls, urls_below
from repro.pin.debsources import DebSource
from repro.pin.members import each_member
from repro.pin.origin_apt import DebKey
from repro.pin.public import is_public, pool_path, public_wheel
from repro.pin.wheel import WheelError
from tests.package_files import deb, wheel_files, zipped


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://files.pythonhosted.org/packages/aa/x.whl", True),
        ("http://deb.debian.org/debian/pool/a.deb", True),
        ("https://snapshot.debian.org/archive/debian/20240101T000000Z/pool/a.deb", True),
        ("https://files.pythonhosted.org.evil.example/x", False),
        ("https://evil.example/files.pythonhosted.org/x", False),
        ("https://user@files.pythonhosted.org/x", False),
        ("https://files.pythonhosted.org:8080/x", False),
        ("https://files.pythonhosted.org/x?to=http://10.0.0.1", False),
        ("file:///etc/passwd", False), ("ftp://deb.debian.org/x", False), ("", False),
        ("http://169.254.169.254/latest", False), ("http://[::1", False), ("//deb.debian.org/x", False),
    ],
)  # fmt: skip
def test_only_well_known_archives(url: str, public: bool) -> None:
    assert is_public(url) is public


def test_a_mirror_of_pypi_is_told_from_an_index_of_ones_own() -> None:
    data = b"wheel bytes"
    name = hashlib.blake2b(data, digest_size=32).hexdigest()
    tail = f"packages/{name[:2]}/{name[2:4]}/{name[4:]}/num-1.0%2Bcpu-py3-none-any.whl"
    stream = io.BytesIO(data)
    want = f"https://files.pythonhosted.org/{tail.replace('%2B', '+')}"
    assert public_wheel(f"https://mirror.lab.example/pypi/{tail}", stream) == want
    assert stream.read() == data
    for other in (f"https://lab.example/{tail[9:]}", "https://lab.example/num-1.0.whl"):
        assert public_wheel(other, stream) is None
    assert public_wheel(f"https://mirror.lab.example/{tail}", io.BytesIO(b"other")) is None


def test_paths_of_pools() -> None:
    assert pool_path("http://x/debian/pool/main/a/a_1%2b2_all.deb") == "pool/main/a/a_1+2_all.deb"
    assert pool_path("http://x/debian/pool/../../a.deb") is None
    assert pool_path("http://x/flat/a_1_all.deb") is None


def test_an_older_version_lies_beside_the_newer_one() -> None:
    sources = [
        DebSource(uri="http://deb.example/debian", suite="stable"),
        DebSource(uri="http://deb.example/debian", suite="stable-updates"),
        DebSource(uri="http://deb.example/security", suite="stable-security"),
        DebSource(uri="cdrom:[disc]", suite="stable"),
    ]
    key = DebKey(name="libx1", version="2:1.0+b1-1", architecture="amd64")
    newer = "http://deb.example/security/pool/updates/main/libx/libx1_1.0-2_amd64.deb"
    leaf = "main/libx/libx1_1.0+b1-1_amd64.deb"
    assert list(likely_urls(key, newer.replace("libx/", "x/libx/"), sources))[0].endswith(
        "/debian/pool/main/x/libx/libx1_1.0+b1-1_amd64.deb"
    )
    assert leaf not in str(list(likely_urls(key, newer, sources)))  # not the layout of a pool
    other = DebKey(name="liby1", version="1", architecture="amd64")
    assert list(likely_urls(other, newer.replace("libx/", "x/libx/"), sources)) == []
    assert list(urls_below(sources, "pool/a b.deb")) == [
        "http://deb.example/debian/pool/a%20b.deb", "http://deb.example/security/pool/a%20b.deb",
    ]  # fmt: skip


def test_members_of_both_kinds() -> None:
    found: dict[str, bytes] = {}

    def take(name: str, size: int, pieces: object) -> None:
        if not name.endswith("/skipped"):
            found[name] = b"".join(bytes(piece) for piece in pieces)  # type: ignore[attr-defined]
            assert len(found[name]) == size

    each_member("wheel", io.BytesIO(zipped(wheel_files("n", "1", {"n/a.py": b"1"}))), take)
    each_member("deb", io.BytesIO(deb({"./usr/a": b"22", "./usr/skipped": b"x" * 9000})), take)
    assert found["n/a.py"] == b"1" and found["/usr/a"] == b"22" and "/usr/skipped" not in found
    with pytest.raises(WheelError):
        each_member("wheel", io.BytesIO(b"no zip"), take)
