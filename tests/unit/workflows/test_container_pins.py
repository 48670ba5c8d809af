"""Pins of what a container installed, and layers that lie about it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from repro.container.changes import Change, Kind
from repro.model.lock import Grade, Lock, LockedPackage
from repro.workflows import container_pins
from repro.workflows.container_pins import NOTE, with_layer

SITE = "/p/venv/lib/python3.11/site-packages"
DEBS = """Package: zlib1g
Status: install ok installed
Architecture: amd64
Version: 1:1.2

Package: newpkg
Status: install ok installed
Architecture: all
Version: 2.0
Description: text
 with: colons

Package: half
Status: install ok half-configured
Version: 1

Package: gone
Status: deinstall ok config-files
Version: 1
"""


def old(source: str, name: str, version: str, purl: str, **facts: str) -> LockedPackage:
    return LockedPackage(
        source=source, name=name, version=version, purl=purl, grade=Grade.NAME_ONLY, facts=facts
    )


LOCK = Lock(
    packages=(
        old("apt", "zlib1g", "1:1.2", "pkg:deb/debian/zlib1g@1:1.2?arch=amd64&distro=debian-12",
            arch="amd64"),
        old("pip", "Num.Py", "1.0", "pkg:pypi/num-py@1.0", site=SITE),
        old("pip", "left", "1.0", "pkg:pypi/left@1.0", site=SITE),
        old("pip", "num-py", "1.0", "pkg:pypi/num-py@1.0", site="/elsewhere"),
        old("r", "zoo", "1.8", "pkg:cran/zoo@1.8", library="/p/rlib"),
    ),
    skipped={"conda": "nothing of it was used"},
)  # fmt: skip


class Layer:
    def __init__(self, folder: Path) -> None:
        self.upper = folder / "upper"
        self.upper.mkdir()
        self.copies = folder / "copies"
        self.copies.mkdir()
        self.changes: list[Change] = []

    def write(self, path: str, text: str) -> None:
        place = Path(f"{self.upper}{path}")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        self.note(path)

    def note(self, path: str) -> None:
        status = os.lstat(f"{self.upper}{path}")
        self.changes.append(Change(kind=Kind.ADDED, path=path, status=status))

    def deleted(self, path: str) -> None:
        self.changes.append(Change(kind=Kind.DELETED, path=path))

    def wheel(self, name: str, version: str, site: str = SITE) -> None:
        info = f"{site}/{name}-{version}.dist-info"
        self.write(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: no\n",
        )
        self.write(f"{info}/RECORD", f"{name}.py,sha256=x,1\n")

    def lock(self) -> Lock:
        return with_layer(LOCK, self.upper, self.changes, self.copies)


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    return Layer(tmp_path)


def purls(lock: Lock, source: str) -> list[str]:
    return [package.purl for package in lock.packages if package.source == source]


def test_what_was_installed_is_pinned_as_a_snapshot_does(layer: Layer) -> None:
    layer.wheel("tiny", "2.0")
    layer.write("/p/rlib/zed/DESCRIPTION", "Package: zed\nVersion: 0.3\nBuilt: R 4.2\n")
    layer.write("/p/src/DESCRIPTION", "Package: source\nVersion: 1\n")  # not installed
    layer.write("/var/lib/dpkg/status", DEBS)
    lock = layer.lock()
    assert "pkg:pypi/tiny@2.0" in purls(lock, "pip")
    tiny = next(package for package in lock.packages if package.name == "tiny")
    assert tiny.hash is not None and tiny.hash.startswith("record-sha256:")
    assert tiny.facts["site"] == SITE and tiny.grade is Grade.HASH_ONLY
    assert purls(lock, "r") == ["pkg:cran/zed@0.3", "pkg:cran/zoo@1.8"]
    assert purls(lock, "apt") == [
        "pkg:deb/debian/newpkg@2.0?arch=all&distro=debian-12", LOCK.packages[0].purl,
    ]  # fmt: skip
    assert lock.skipped[NOTE].startswith("3 packages brought, 0 replaced")
    assert lock.skipped["conda"] == LOCK.skipped["conda"]
    assert lock == Lock.parse(lock.to_json())


def test_an_upgrade_replaces_and_a_removal_removes_in_that_place_alone(layer: Layer) -> None:
    layer.wheel("num_py", "2.0")
    layer.deleted(f"{SITE}/num_py-1.0.dist-info")
    layer.deleted(f"{SITE}/left-1.0.dist-info")
    layer.deleted("/p/rlib")
    lock = layer.lock()
    pips = {(package.version, package.facts["site"]) for package in lock.packages
            if package.source == "pip"}  # fmt: skip
    assert pips == {("2.0", SITE), ("1.0", "/elsewhere")}
    assert purls(lock, "r") == []
    assert "1 packages brought, 3 replaced or removed" in lock.skipped[NOTE]


def test_a_whole_environment_that_is_gone(layer: Layer) -> None:
    layer.deleted("/p/venv")
    assert purls(layer.lock(), "pip") == ["pkg:pypi/num-py@1.0"]


def test_nothing_was_installed(layer: Layer) -> None:
    layer.write("/p/notes.txt", "mine")
    lock = layer.lock()
    assert lock.packages == LOCK.packages
    assert lock.skipped[NOTE].startswith("0 packages brought, 0 replaced")


def test_a_hostile_layer_reads_nothing_of_this_machine(
    layer: Layer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "METADATA"
    secret.write_text("Name: secret\nVersion: 1\n")
    info = Path(f"{layer.upper}{SITE}/a-1.dist-info")
    info.mkdir(parents=True)
    (info / "METADATA").symlink_to(secret)
    (info.parent / "b-1.dist-info").symlink_to(tmp_path)
    os.mkdir(info.parent / "c-1.dist-info")
    os.mkfifo(info.parent / "c-1.dist-info/METADATA")
    made = os.lstat(secret)
    for name in "abc":  # as if each had been a plain file when it was listed
        path = f"{SITE}/{name}-1.dist-info/METADATA"
        layer.changes.append(Change(kind=Kind.ADDED, path=path, status=made))
    layer.write(f"{SITE}/d-1.dist-info/METADATA", "Name: d\n" + "x" * 100)
    layer.write(
        f"{SITE}/e-1.dist-info/METADATA",
        "\udcff".encode("utf-8", "surrogateescape").decode("latin-1"),
    )
    monkeypatch.setattr(container_pins, "_LARGEST", 50)
    layer.write("/var/lib/dpkg/status", DEBS)  # too large now
    lock = layer.lock()
    assert lock.packages == LOCK.packages
    assert "files of metadata were not read" in lock.skipped[NOTE]
