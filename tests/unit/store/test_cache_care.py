"""The cache looked after: what lies in it, whether it is whole, how much may."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from archive_sample import make_archive

from repro.primitives.digest import Digest
from repro.store.archive import Archive
from repro.store.cache import Cache, Checked


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    make_archive(tmp_path / "paper.repro", tmp_path / "work")
    with Archive.open(tmp_path / "paper.repro") as opened:
        yield opened


@pytest.fixture
def folders(root: Path, archive: Archive) -> list[Path]:
    """Unpacked and not in use, the first used longest ago."""
    cache = Cache(root)
    found = cache.layers(archive, archive.version(None))
    cache.close()
    for age, folder in enumerate(found):
        os.utime(folder.with_name(folder.name + ".ok"), (1000 + age, 1000 + age))
    return found


def another_boot(folder: Path, used: int) -> None:
    marker = folder.with_name(folder.name + ".ok")
    marker.write_text("some earlier boot")
    os.utime(marker, (used, used))


def test_entries_tell_size_use_and_state(root: Path, archive: Archive, folders: list[Path]) -> None:
    another_boot(folders[0], 500)
    holder = Cache(root)
    holder.layer(archive, archive.version(None).layers[1])
    entries = Cache(root).entries()
    assert [each.diff_id.hex for each in entries] == [
        folders[number].name for number in (1, 3, 2, 0)
    ]
    assert [each.in_use for each in entries] == [True, False, False, False]
    assert [each.ready for each in entries] == [True, True, True, False]
    assert entries[-1].used == 500
    assert sum(each.size for each in entries) == Cache(root).size() > 0
    holder.close()


def test_sizes_are_counted_once_and_anew_after_unpacking(
    root: Path, archive: Archive, folders: list[Path]
) -> None:
    before = Cache(root).size()
    note = folders[2].with_name(folders[2].name + ".size")
    assert int(note.read_text()) > 0
    note.write_text("123456789")
    assert Cache(root).size() > before + 100_000_000
    another_boot(folders[2], 1)
    cache = Cache(root)
    cache.layers(archive, archive.version(None))
    assert Cache(root).size() == before
    cache.close()


def test_check_finds_damage_and_removes_it(
    root: Path, archive: Archive, folders: list[Path]
) -> None:
    (folders[0] / "bin/tool").write_bytes(b"#!/bin/xx\n")
    outcomes = [Cache(root).check(Digest(folder.name)) for folder in folders]
    assert outcomes == [Checked.DAMAGED, Checked.GOOD, Checked.GOOD, Checked.GOOD]
    assert not folders[0].exists() and folders[1].is_dir()
    assert Cache(root).check(Digest(folders[0].name)) is None
    with Cache(root) as cache:
        cache.layers(archive, archive.version(None))
        assert (folders[0] / "bin/tool").read_bytes() == b"#!/bin/sh\n"


def test_damage_in_use_is_said_and_left(root: Path, archive: Archive, folders: list[Path]) -> None:
    holder = Cache(root)
    holder.layers(archive, archive.version(None))
    (folders[0] / "bin/tool").write_bytes(b"#!/bin/xx\n")
    assert Cache(root).check(Digest(folders[0].name)) is Checked.IN_USE
    assert folders[0].is_dir()
    holder.close()
    assert Cache(root).check(Digest(folders[0].name)) is Checked.DAMAGED


def test_a_good_layer_of_an_earlier_boot_is_ready_again(
    root: Path, archive: Archive, folders: list[Path]
) -> None:
    another_boot(folders[1], 700)
    inode = folders[1].stat().st_ino
    assert Cache(root).check(Digest(folders[1].name)) is Checked.GOOD
    found = next(e for e in Cache(root).entries() if e.diff_id.hex == folders[1].name)
    assert found.ready and found.used == 700, "a check is no use"
    with Cache(root) as cache:
        cache.layers(archive, archive.version(None))
        assert folders[1].stat().st_ino == inode, "not unpacked again"


def test_gc_takes_what_an_earlier_boot_left_first(root: Path, folders: list[Path]) -> None:
    another_boot(folders[3], 5000)
    cache = Cache(root)
    cache.gc(cache.size() - 1)
    assert [folder.exists() for folder in folders] == [True, True, True, False]
    assert not list((root / "layers").glob(f"{folders[3].name}.size"))


def test_a_limit_is_kept_when_the_layers_are_let_go(
    root: Path, archive: Archive, folders: list[Path]
) -> None:
    whole = Cache(root).size()
    assert Cache(root).limit() is None and Cache(root).keep_limit() == 0
    Cache(root).set_limit(whole - 1)
    with Cache(root) as cache:
        cache.layers(archive, archive.version(None))
        assert Cache(root).keep_limit() == 0, "nothing that is in use goes"
        assert all(folder.is_dir() for folder in folders)
    assert 0 < Cache(root).size() < whole
    Cache(root).set_limit(0)
    assert Cache(root).keep_limit() > 0 and Cache(root).size() == 0
    Cache(root).set_limit(None)
    with Cache(root) as cache:
        cache.layers(archive, archive.version(None))
    assert Cache(root).limit() is None and Cache(root).size() == whole


def test_a_limit_that_is_no_number_is_none(root: Path) -> None:
    Cache(root).set_limit(5)
    (root / "limit").write_text("lots\n")
    assert Cache(root).limit() is None
