"""Development installs of the older kind."""

from __future__ import annotations

from pathlib import Path

from repro.pin.sources.pip import Pip
from tests.unit.pin.fake_host import FakeHost

SITE = "/venv/lib/python3.11/site-packages"


def linked(host: FakeHost, name: str, version: str = "2.0", requires: str = "") -> None:
    source = f"/home/ann/{name}/src"
    info = f"{source}/{name.replace('-', '_')}.egg-info"
    host.write(f"{info}/PKG-INFO", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nx")
    host.write(f"{info}/requires.txt", requires)
    host.write(f"{SITE}/{name}.egg-link", f"{source}\n../")
    host.write(f"{SITE}/easy-install.pth", f"{source}\n")


def test_the_folder_of_the_source(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    linked(host, "my-code", requires="six>=1\n\n[docs]\nsphinx\n")
    host.dist(SITE, "six", "1.17.0", files=["six.py"])
    host.dist(SITE, "sphinx", files=["sphinx.py"])
    pip = Pip(host.root)
    ref = pip.owner(f"{SITE}/easy-install.pth")
    assert ref is not None and (ref.name, ref.version) == ("my-code", "2.0")
    assert pip.editable(ref) == "/home/ann/my-code/src"
    assert {each.name for each in pip.requires(ref)} == {"my-code", "six"}
    assert [file.path for file in pip.files(ref)] == [
        f"{SITE}/easy-install.pth", f"{SITE}/my-code.egg-link",
    ]  # fmt: skip
    six = pip.owner(f"{SITE}/six.py")
    assert six is not None and pip.editable(six) is None


def test_one_path_file_stands_for_all_links(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    linked(host, "one")
    linked(host, "two")
    pip = Pip(host.root)
    ref = pip.owner(f"{SITE}/easy-install.pth")
    assert ref is not None
    assert {each.name for each in pip.requires(ref)} == {"one", "two"}


def test_a_link_to_nowhere_is_none(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.write(f"{SITE}/gone.egg-link", "/nowhere\n.")
    host.write(f"{SITE}/empty.egg-link", "")
    host.write(f"{SITE}/easy-install.pth", "/nowhere\n")
    assert Pip(host.root).owner(f"{SITE}/easy-install.pth") is None
