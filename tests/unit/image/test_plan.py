from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from repro.errors import ProjectError
from repro.image import plan
from repro.image.build import build_layer
from repro.image.plan import OWN_DATA, OWN_PACKAGE, plan_layers
from repro.model.entry import EntryType, FileEntry, LayerKind
from repro.primitives.canonical import CLAMP
from repro.store.filelist import read_file_list


def entry(path: str, kind: LayerKind, size: int = 1, **more: Any) -> FileEntry:
    more.setdefault("type", EntryType.FILE)
    more.setdefault("origin", "test")
    return FileEntry(path=path, kind=kind, size=size, source=path, **more)


def files() -> list[FileEntry]:
    return [
        entry("/p/run.py", LayerKind.CODE),
        entry("/p/big.csv", LayerKind.DATA, OWN_DATA + 1),
        entry("/p/bigger.csv", LayerKind.DATA, OWN_DATA + 2),
        entry("/p/small.csv", LayerKind.DATA),
        entry("/lib/numpy/a", LayerKind.PACKAGES, OWN_PACKAGE, group="numpy 2"),
        entry("/lib/numpy/b", LayerKind.PACKAGES, 1, group="numpy 2"),
        entry("/lib/scipy/a", LayerKind.PACKAGES, OWN_PACKAGE * 2, group="scipy 1"),
        entry("/lib/six.py", LayerKind.PACKAGES, 5, group="six 1"),
        entry("/lib/loose.py", LayerKind.PACKAGES, 5),
        entry("/bin/python", LayerKind.RUNTIME),
        entry("/bin/sh", LayerKind.BASE),
        entry("/bin/awk", LayerKind.SYSTEM),
    ]


def test_layers_lie_by_kind_and_size() -> None:
    assert [layer.name for layer in plan_layers(files())] == [
        "base",
        "system",
        "runtime",
        "packages: scipy 1",
        "packages: numpy 2",
        "packages",
        "data: /p/bigger.csv",
        "data: /p/big.csv",
        "data",
        "code",
    ]


def test_the_order_of_files_does_not_matter() -> None:
    expected = plan_layers(files())
    for seed in range(5):
        shuffled = files()
        random.Random(seed).shuffle(shuffled)
        assert plan_layers(shuffled) == expected


def test_every_path_once_over_all_layers() -> None:
    planned = plan_layers([*files(), files()[0]])
    paths = [e.path for layer in planned for e in layer.entries]
    assert sorted(paths) == sorted(e.path for e in files())


@pytest.mark.parametrize("limit", [6, 7, 8, 9])
def test_the_biggest_get_the_layers_there_are(limit: int) -> None:
    planned = plan_layers(files(), max_layers=limit)
    assert len(planned) <= limit
    assert sum(len(layer.entries) for layer in planned) == len(files())
    names = [layer.name for layer in planned]
    assert ("packages: scipy 1" in names) == (limit > 6)


def test_hard_links_stay_together() -> None:
    linked = [
        entry("/p/a", LayerKind.DATA, OWN_DATA + 1, link_key=(1, 2)),
        entry("/p/b", LayerKind.DATA, OWN_DATA + 1, link_key=(1, 2)),
    ]
    assert [layer.name for layer in plan_layers(linked)] == ["data"]


def test_two_files_at_one_path_are_refused() -> None:
    with pytest.raises(ProjectError, match="two different files claim /bin/sh"):
        plan_layers([*files(), entry("/bin/sh", LayerKind.CODE, 9)])


def test_a_folder_may_come_from_two_sides() -> None:
    both = [
        entry("/p", LayerKind.CODE, type=EntryType.FOLDER),
        entry("/p", LayerKind.DATA, type=EntryType.FOLDER, origin="other"),
    ]
    assert len(plan_layers(both)) == 1


def test_nothing_lies_below_a_symlink() -> None:
    link = entry("/lib", LayerKind.BASE, type=EntryType.SYMLINK, target="usr/lib")
    with pytest.raises(ProjectError, match=r"/lib/.* lies below /lib, which is a symlink"):
        plan_layers([link, *files()])


@pytest.mark.parametrize("path", ["relative", "/a//b", "/a/../b", "/a/", "/", "/./a", ""])
def test_paths_are_normal(path: str) -> None:
    with pytest.raises(ProjectError, match="not a normal absolute path"):
        plan_layers([entry(path, LayerKind.CODE)])


@pytest.mark.parametrize("path", ["/p/.wh.a", "/p/.wh..wh..opq", "/.wh.d/a"])
def test_names_of_whiteouts_are_refused(path: str) -> None:
    with pytest.raises(ProjectError, match="reserve names"):
        plan_layers([entry(path, LayerKind.CODE)])


def test_very_many_files_are_several_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file list of each stays below what readers take; hard links stay together."""
    monkeypatch.setattr(plan, "LISTED", 20_000)
    many = [entry(f"/d/{number:04}", LayerKind.CODE) for number in range(300)]
    many += [entry("/d/é" * 20, LayerKind.CODE)]
    many += [entry(f"/{name}", LayerKind.CODE, link_key=(1, 2)) for name in ("a", "z")]
    random.Random(1).shuffle(many)
    layers = plan_layers(many, max_layers=6)
    assert [layer.name for layer in layers] == ["code"] * len(layers) and len(layers) > 2
    found = [each.path for layer in layers for each in layer.entries]
    assert sorted(found) == sorted(each.path for each in many)
    for layer in layers:
        paths = [os.fsencode(each.path) for each in layer.entries]
        assert paths == sorted(paths)
        assert sum(plan._listed(each) for each in layer.entries) <= 20_000
        assert len({"/a", "/z"} & {each.path for each in layer.entries}) in (0, 2)
    assert plan_layers(sorted(many, key=lambda each: each.path), max_layers=6) == layers


@pytest.mark.slow
def test_the_largest_file_list_can_be_read(tmp_path: Path) -> None:
    """More files than one list may tell of: every layer's is read, and tells the truth."""
    entries = [
        entry(f"/data/{number // 1000}/{number}.txt", LayerKind.CODE, 0, content=b"")
        for number in range(400_000)
    ]
    layers = plan_layers(entries)
    assert len(layers) > 1
    seen = 0
    for planned in layers:
        built = build_layer(planned, tmp_path, clamp=CLAMP)
        data = (tmp_path / built.toc.digest.hex).read_bytes()
        listed = read_file_list(data, built.layer).entries
        seen += sum("size" in each for each in listed)
    assert seen == len(entries)
