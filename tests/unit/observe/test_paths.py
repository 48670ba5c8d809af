"""Real places behind spelled paths: links, rings, dots, things that are missing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from repro.observe.paths import Resolver


class Links:
    """A folder ``top`` with things in it, and a resolver that remembers the links it met."""

    def __init__(self, folder: Path) -> None:
        self.top = os.path.realpath(folder)
        self.met: list[tuple[str, str]] = []
        self.resolver = Resolver(lambda path, text: self.met.append((path, text)))

    def make(self, *files: str, links: Mapping[str, str] = MappingProxyType({})) -> None:
        for name in files:
            path = Path(self.top, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        for name, target in links.items():
            os.symlink(target, os.path.join(self.top, name))

    def real(self, path: str) -> str | None:
        found = self.resolver.real(os.path.join(self.top, path))
        return None if found is None else os.path.relpath(found, self.top)


@pytest.fixture
def links(tmp_path: Path) -> Links:
    return Links(tmp_path)


def test_a_plain_path_is_itself_and_meets_no_link(links: Links) -> None:
    links.make("a/b/c")
    assert links.real("a/b/c") == "a/b/c"
    assert links.met == []


def test_every_link_on_the_way_is_told_at_its_real_place(links: Links) -> None:
    links.make("real/folder/file", links={"one": "two", "two": "real"})
    os.symlink("file", f"{links.top}/real/folder/leaf")
    assert links.real("one/folder/leaf") == "real/folder/file"
    assert links.met == [
        (f"{links.top}/one", "two"),
        (f"{links.top}/two", "real"),
        (f"{links.top}/real/folder/leaf", "file"),
    ]


def test_dots_are_taken_after_the_link_before_them(links: Links) -> None:
    links.make("deep/in/x", "deep/sibling", "sibling", links={"link": "deep/in"})
    assert links.real("link/../sibling") == "deep/sibling"
    assert links.real("./link/./x") == "deep/in/x"
    assert links.real("deep//in///x") == "deep/in/x"


def test_absolute_targets_and_targets_with_dots(links: Links) -> None:
    links.make("d/file", links={"up": "d/../d/file"})
    os.symlink(f"{links.top}/d", f"{links.top}/whole")
    assert links.real("up") == "d/file"
    assert links.real("whole/file") == "d/file"


def test_dots_above_the_root_stay_at_the_root() -> None:
    assert Resolver(lambda path, text: None).real("/../../..") == "/"
    assert Resolver(lambda path, text: None).real("/") == "/"


@pytest.mark.parametrize(
    "path", ["missing", "missing/x", "hanging", "hanging/x", "ring", "ring/x", "self", "file/x"]
)
def test_what_leads_nowhere_is_none(links: Links, path: str) -> None:
    rings = {"hanging": "nowhere", "ring": "gnir", "gnir": "ring", "self": "self"}
    links.make("file", links=rings)
    assert links.real(path) is None


def test_forty_links_in_a_row_are_followed_as_the_kernel_does(links: Links) -> None:
    links.make("end", links={"l0": "end", **{f"l{n}": f"l{n - 1}" for n in range(1, 40)}})
    assert os.path.samefile(os.path.join(links.top, "l39"), os.path.join(links.top, "end"))
    assert links.real("l39") == "end"
    assert len(links.met) == 40


def test_a_link_is_told_again_as_a_leaf_but_folders_are_remembered(links: Links) -> None:
    links.make("d/a", "d/b", links={"link": "d"})
    assert (links.real("link/a"), links.real("link/b")) == ("d/a", "d/b")
    assert links.met == [(f"{links.top}/link", "d")]


def test_names_that_are_no_text(links: Links) -> None:
    links.make("new\nline/\udcff", links={"l\udcfe": "new\nline"})
    assert links.real("l\udcfe/\udcff") == "new\nline/\udcff"


def test_it_agrees_with_the_kernel_on_this_system() -> None:
    resolver = Resolver(lambda path, text: None)
    places = ["/bin/sh", "/lib/../bin/sh", "/etc/os-release", "/usr/bin/env", "/var/run"]
    for path in places:
        if os.path.exists(path):
            assert resolver.real(path) == os.path.realpath(path), path
