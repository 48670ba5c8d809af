"""Sources, lists and Releases of apt, in the forms that they have on real systems."""

from __future__ import annotations

import gzip
import lzma
import os
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from repro.pin.deblists import HELPER, LISTS, package_lists
from repro.pin.debsources import DebSource, deb_sources, list_name
from tests.unit.pin.fake_host import FakeHost

TOOL = ("tool", "1:2.0~rc1-1", "amd64")
HASH = "A1" * 32
STANZA = f"""\
Package: tool
Version: 1:2.0~rc1-1
Architecture: amd64
Description: first
 Filename: pool/lie
Filename: pool/main/t/tool/tool_2.0~rc1-1_amd64.deb
SHA256: {HASH}
"""
RELEASE = """\
-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

Origin: {origin}
Label: {label}
Date: {date}
SHA256:
 {hash} 10 main/binary-amd64/Packages
"""
DATE = "Sat, 11 Jul 2026 20:16:37 UTC"
STEM = "deb.example.org_debian_dists_stable_"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def sources(host: FakeHost, text: str, name: str = "a.list") -> list[DebSource]:
    host.write(f"/etc/apt/sources.list.d/{name}", text)
    return deb_sources(host.root)


def release(host: FakeHost, **fields: str) -> None:
    given = {"origin": "Debian", "label": "Debian", "date": DATE, "hash": "0" * 64, **fields}
    host.write(f"{LISTS}/{STEM}InRelease", RELEASE.format(**given))


def listed(host: FakeHost, data: bytes = STANZA.encode(), ending: str = "") -> None:
    host.write(f"{LISTS}/{STEM}main_binary-amd64_Packages{ending}", data)
    host.write("/etc/apt/sources.list", "deb http://deb.example.org/debian stable main\n")


def test_the_one_line_form(host: FakeHost) -> None:
    text = """
    # deb http://no.example.org/ none main
    deb [arch=amd64 signed-by=/k] https://a.example.org/debian/ stable main contrib # comment
    deb-src https://a.example.org/debian stable main
    deb\thttp://b.example.org/flat ./
    """
    assert sources(host, text) == [
        DebSource(uri="https://a.example.org/debian", suite="stable"),
        DebSource(uri="http://b.example.org/flat", suite="./"),
    ]


def test_the_deb822_form(host: FakeHost) -> None:
    text = """\
Types: deb deb-src
# a comment in the middle
URIs: http://a.example.org/debian/
 http://mirror.example.org/debian
Suites: stable stable-updates
Components: main

Types: deb
Enabled: no
URIs: http://off.example.org/
Suites: stable

Types: deb-src
URIs: http://src.example.org/
Suites: stable
"""
    found = sources(host, text, "a.sources")
    assert [(each.uri, each.suite) for each in found] == [
        ("http://a.example.org/debian", "stable"),
        ("http://a.example.org/debian", "stable-updates"),
        ("http://mirror.example.org/debian", "stable"),
        ("http://mirror.example.org/debian", "stable-updates"),
    ]


def test_a_file_that_apt_does_not_read_is_no_source(host: FakeHost) -> None:
    assert sources(host, "deb http://a.example.org/ stable main", "a.list.disabled") == []
    assert sources(host, b"\xff\xfe\x00deb".decode("latin-1"), "b.list") == []


@pytest.mark.parametrize(
    ("uri", "name"),
    [("http://deb.debian.org/debian/dists/bookworm/", "deb.debian.org_debian_dists_bookworm_"),
     ("https://me:secret@h.example.org:8080/~a_b/x", "h.example.org:8080_%7ea%5fb_x"),
     ("file:/srv/mirror/", "_srv_mirror_")],
)  # fmt: skip
def test_names_of_lists(uri: str, name: str) -> None:
    assert list_name(uri) == name


def test_hash_address_and_state(host: FakeHost) -> None:
    listed(host)
    release(host)
    found = package_lists(host.root, {TOOL})
    archive = found.archives[TOOL]
    assert archive.sha256 == HASH.lower()
    assert archive.url == (
        "http://deb.example.org/debian/pool/main/t/tool/tool_2.0~rc1-1_amd64.deb"
    )
    assert archive.facts == {
        "said-by": STEM + "main_binary-amd64_Packages", "suite": "stable", "component": "main",
        "list-date": "2026-07-11T20:16:37Z", "filename": "pool/main/t/tool/tool_2.0~rc1-1_amd64.deb",
        "snapshot": "https://snapshot.debian.org/archive/debian/20260712T021637Z/",
    }  # fmt: skip
    assert (found.count, found.unread) == (1, {})


@pytest.mark.parametrize(
    ("origin", "label", "base"),
    [("Debian", "Debian-Security", "https://snapshot.debian.org/archive/debian-security/"),
     ("Ubuntu", "Ubuntu", "https://snapshot.ubuntu.com/ubuntu/"),
     ("Somebody", "Debian", None), ("Debian", "Debian Ports", None)],
)  # fmt: skip
def test_only_what_a_service_keeps_has_a_snapshot(
    host: FakeHost, origin: str, label: str, base: str | None
) -> None:
    listed(host)
    release(host, origin=origin, label=label)
    facts = package_lists(host.root, {TOOL}).archives[TOOL].facts
    assert facts.get("snapshot") == (base and base + "20260712T021637Z/")


@pytest.mark.parametrize("date", ["", "yesterday", "Sat, 99 Jul 2026 20:16:37 UTC"])
def test_a_release_without_a_date_gives_none(host: FakeHost, date: str) -> None:
    listed(host)
    release(host, date=date)
    archive = package_lists(host.root, {TOOL}).archives[TOOL]
    assert archive.url and not {"snapshot", "list-date"} & archive.facts.keys()


@pytest.mark.parametrize(
    "uri", ["http://user:pass@h.example.org/debian", "file:/srv/debian", "cdrom:[Debian]/",
            "mirror+file:/etc/apt/mirrors.list"],
)  # fmt: skip
def test_private_addresses_are_not_told(host: FakeHost, uri: str) -> None:
    assert DebSource(uri=uri, suite="stable").url("pool/x.deb") is None


def test_a_flat_archive(host: FakeHost) -> None:
    source = DebSource(uri="https://r.example.org/bin/linux", suite="bookworm-cran40/")
    assert source.list_prefix == "r.example.org_bin_linux_bookworm-cran40_"
    host.write(f"{LISTS}/{source.list_prefix}Packages", STANZA.replace("pool/main/", "./p/"))
    host.write("/etc/apt/sources.list", "deb https://r.example.org/bin/linux/ bookworm-cran40/\n")
    archive = package_lists(host.root, {TOOL}).archives[TOOL]
    assert archive.url == "https://r.example.org/bin/linux/p/t/tool/tool_2.0~rc1-1_amd64.deb"
    assert "component" not in archive.facts


def test_the_longest_source_is_the_one(host: FakeHost) -> None:
    name = "h.example.org_debian_dists_stable_updates_main_binary-amd64_Packages"
    host.write(f"{LISTS}/{name}", STANZA)
    host.write(
        "/etc/apt/sources.list",
        "deb http://h.example.org/debian stable main\n"
        "deb http://h.example.org/debian stable/updates main\n",
    )
    assert package_lists(host.root, {TOOL}).archives[TOOL].facts["suite"] == "stable/updates"


def test_of_two_lists_the_one_of_the_earlier_source_speaks(host: FakeHost) -> None:
    for name in ("a.example.org_x", "b.example.org_x"):
        host.write(f"{LISTS}/{name}_dists_stable_main_binary-amd64_Packages", STANZA)
    lines = [f"deb http://{name}.example.org/x stable main\n" for name in ("b", "a")]
    host.write("/etc/apt/sources.list", "".join(lines))
    archive = package_lists(host.root, {TOOL}).archives[TOOL]
    assert archive.url and archive.url.startswith("http://b.example.org/x/pool/")


def test_a_list_without_a_source_gives_the_hash_alone(host: FakeHost) -> None:
    host.write(f"{LISTS}/{STEM}main_binary-amd64_Packages", STANZA)
    archive = package_lists(host.root, {TOOL}).archives[TOOL]
    assert (archive.sha256, archive.url) == (HASH.lower(), None)
    assert "suite" not in archive.facts


@pytest.mark.parametrize("ending", [".gz", ".xz"])
def test_compressed_lists(host: FakeHost, ending: str) -> None:
    pack = gzip.compress if ending == ".gz" else lzma.compress
    listed(host, pack(STANZA.encode()), ending)
    archive = package_lists(host.root, {TOOL}).archives[TOOL]
    assert archive.facts["said-by"] == STEM + "main_binary-amd64_Packages"


@pytest.mark.parametrize(
    ("ending", "data"),
    [(".gz", b"\x1f\x8bnonsense"), (".gz", gzip.compress(STANZA.encode(), mtime=0)[:-9]),
     (".xz", b"nonsense"), (".lz4", b"nonsense")],
)  # fmt: skip
def test_a_list_that_cannot_be_read_is_named(host: FakeHost, ending: str, data: bytes) -> None:
    listed(host, data, ending)
    found = package_lists(host.root, {TOOL})
    assert found.archives == {} and found.count == 1
    assert list(found.unread) == [f"{STEM}main_binary-amd64_Packages{ending}"]
    assert all(found.unread.values())


@pytest.mark.parametrize("wrong", ["", "a1", "g" * 64])
def test_what_is_no_sha256_is_no_hash(host: FakeHost, wrong: str) -> None:
    listed(host, STANZA.replace(HASH, wrong).encode())
    assert package_lists(host.root, {TOOL}).archives == {}


@pytest.mark.real
def test_apt_itself_says_the_same() -> None:
    """Hash and address of every listed package of this machine, as apt would fetch it."""
    apt_get = shutil.which("apt-get")
    lists = Path(LISTS)
    if apt_get is None or not lists.is_dir() or not [*lists.glob("*_Packages*")]:
        if os.environ.get("CI"):
            pytest.fail("no package lists: run apt-get update")
        pytest.skip("no package lists on this machine")
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package}\t${Version}\t${Architecture}\n"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    installed = {tuple(line.split("\t")) for line in shown.splitlines()}
    found = package_lists("/", {(a, b, c) for a, b, c in installed})
    assert found.archives and not found.unread, f"{HELPER}: {found.unread}"
    words = [f"{name}:{arch}={version}" for name, version, arch in list(found.archives)[:60]]
    said = subprocess.run(
        [apt_get, "download", "--print-uris", *words], capture_output=True, text=True, check=True
    ).stdout
    lines = re.findall(r"^'([^']+)' \S+ \d+ SHA256:([0-9a-f]{64})$", said, re.MULTILINE)
    assert len(lines) == len(words), said
    ours = {archive.sha256: archive.url for archive in found.archives.values()}
    for url, sha256 in lines:
        assert ours[sha256] == unquote(url)
