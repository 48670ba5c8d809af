from __future__ import annotations

import gc
import os
import stat
import threading
from pathlib import Path

import pytest
from archive_sample import ROOT, make_archive

from repro.errors import ArchiveError, StorageError
from repro.primitives.files import walk
from repro.store.archive import Archive
from repro.store.cache import Cache


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "paper.repro"
    make_archive(path, tmp_path / "work")
    return path


def test_layers_are_unpacked_once(archive: Path, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "a" / "cache")
    with Archive.open(archive) as opened:
        version = opened.version(None)
        first = cache.layers(opened, version)
        inodes = [path.stat().st_ino for path in first]
        second = Cache(tmp_path / "a" / "cache").layers(opened, version)
    assert first == second
    assert inodes == [path.stat().st_ino for path in second]
    assert (first[0] / "bin" / "also").readlink() == Path("tool")
    assert (first[3] / ROOT[1:] / "analysis.py").read_bytes() == b"print(1)\n"
    assert stat.S_IMODE((tmp_path / "a" / "cache").stat().st_mode) == 0o700
    assert not list((tmp_path / "a" / "cache" / "layers").glob(".*"))
    assert cache.size() > 0


def test_modes_do_not_depend_on_the_umask(archive: Path, tmp_path: Path) -> None:
    modes = []
    for umask in (0o000, 0o077):
        before = os.umask(umask)
        try:
            root = tmp_path / f"cache{umask}"
            with Archive.open(archive) as opened:
                folders = Cache(root).layers(opened, opened.version(None))
        finally:
            os.umask(before)
        assert not any(status.st_mode & 0o022 for _, status in walk(str(root))
                       if not stat.S_ISLNK(status.st_mode))  # fmt: skip
        modes.append([s.st_mode for folder in folders for _, s in walk(str(folder))])
    assert modes[0] == modes[1]


def test_a_changed_layer_stays_whole_for_who_runs_over_it(archive: Path, tmp_path: Path) -> None:
    """Another process unpacks it anew: under the first one nothing disappears."""
    root = tmp_path / "cache"
    with Archive.open(archive) as opened:
        version = opened.version(None)
        first = Cache(root)
        place = first.layers(opened, version)[3]
        below = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        program = f"{ROOT[1:]}/analysis.py"
        os.utime(place / program)  # a backup program that puts times back, say
        with Cache(root) as other:
            assert other.layers(opened, version)[3] == place
        assert place.stat().st_ino != os.fstat(below).st_ino
        assert os.stat(program, dir_fd=below).st_size == len(b"print(1)\n")
        os.close(below)
        assert len(list((root / "layers").glob(".unpack-*"))) == 1
        first.close()
    del first, other, opened, version
    gc.collect()
    Cache(root).gc(keep=1 << 40)
    assert not list((root / "layers").glob(".unpack-*")) and (place / program).exists()


def test_a_changed_layer_that_nobody_uses_goes_at_once(archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    for _ in range(2):
        with Archive.open(archive) as opened, Cache(root) as cache:
            place = cache.layers(opened, opened.version(None))[3]
        del cache, opened
        gc.collect()
        os.utime(place / ROOT[1:] / "analysis.py")
        assert not list((root / "layers").glob(".unpack-*"))


def test_a_layer_there_already_does_not_hide_a_damaged_blob(archive: Path, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    with Archive.open(archive) as opened:
        version = opened.version(None)
        cache.layers(opened, version)
        span = opened.locate(version.layers[3].descriptor.digest)
    assert span is not None
    with archive.open("r+b") as stream:
        stream.seek(span.offset + 20)
        byte = stream.read(1)[0]
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte ^ 1]))
    with Archive.open(archive) as opened, pytest.raises(ArchiveError, match="layer 4"):
        cache.layers(opened, opened.version(None))


def test_what_another_boot_left_is_unpacked_again(archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    with Archive.open(archive) as opened:
        version = opened.version(None)
        folder = Cache(root).layers(opened, version)[0]
        marker = folder.with_name(folder.name + ".ok")
        (folder / "bin" / "tool").write_bytes(b"half")
        marker.write_text("some earlier boot")
        Cache(root).layers(opened, version)
        assert (folder / "bin" / "tool").read_bytes() == b"#!/bin/sh\n"


def test_what_somebody_changed_is_unpacked_again(archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    with Archive.open(archive) as opened:
        with Cache(root) as cache:
            places = cache.layers(opened, opened.version(None))
        assert Cache(root).touched(places) == []
        victim = next(p for place in places for p in sorted(place.rglob("*")) if p.is_file())
        good = victim.read_bytes()
        victim.chmod(0o644)
        victim.write_bytes(bytes(len(good)))
        with Cache(root, looks=False) as cache:
            cache.layers(opened, opened.version(None))
            assert victim.read_bytes() != good, "who does not look is told beside the run"
        with Cache(root) as cache:
            assert cache.layers(opened, opened.version(None)) == places
            assert victim.read_bytes() == good
            victim.write_bytes(bytes(len(good)))
            assert len(cache.touched(places)) == 1 and cache.touched(places)


def test_gc_spares_what_is_in_use(archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    cache = Cache(root)
    with Archive.open(archive) as opened:
        folders = cache.layers(opened, opened.version(None))
    left = root / "layers" / f".unpack-{folders[0].name}-x"
    left.mkdir()
    other = Cache(root)
    assert other.clear() == 0
    assert all(folder.is_dir() for folder in folders) and left.is_dir()
    cache.close()
    assert other.clear() > 0
    assert not any(folder.exists() for folder in folders) and not left.exists()
    assert other.size() == 0


def test_gc_keeps_the_last_used(archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    cache = Cache(root)
    with Archive.open(archive) as opened:
        folders = cache.layers(opened, opened.version(None))
    cache.close()
    for age, folder in enumerate(folders):
        os.utime(folder.with_name(folder.name + ".ok"), (1000 - age, 1000 - age))
    Cache(root).gc(keep=8192)
    assert folders[0].exists() and not folders[3].exists()


def test_many_at_once_and_nobody_waits_for_who_only_uses(archive: Path, tmp_path: Path) -> None:
    caches = [Cache(tmp_path / "cache") for _ in range(8)]
    found: list[list[Path]] = []

    def work(cache: Cache) -> None:
        with Archive.open(archive) as opened:
            found.append(cache.layers(opened, opened.version(None)))

    threads = [threading.Thread(target=work, args=[cache], daemon=True) for cache in caches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    # All caches are still open: each holds its layers.
    assert len(found) == 8 and all(each == found[0] for each in found)
    assert Cache(tmp_path / "cache").clear() == 0
    for cache in caches:
        cache.close()
    assert Cache(tmp_path / "cache").clear() > 0


def test_layers_stay_while_their_archive_is_open(archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    opened = Archive.open(archive)
    folders = Cache(root).layers(opened, opened.version(None))
    gc.collect()
    assert Cache(root).clear() == 0 and folders[0].is_dir()
    opened.close()
    del opened
    gc.collect()
    assert Cache(root).clear() > 0 and not folders[0].exists()


def test_a_cache_that_others_can_write_is_refused(tmp_path: Path) -> None:
    for mode in (0o770, 0o707):
        root = tmp_path / f"{mode}"
        root.mkdir()
        root.chmod(mode)
        with pytest.raises(StorageError, match="can be written by other users"):
            Cache(root)


def test_a_cache_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cache folder"):
        Cache(tmp_path / "file")
    with pytest.raises(StorageError, match="cache folder"):
        Cache(tmp_path / "file" / "below")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a folder away")
def test_somebody_elses_cache_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    root.mkdir(mode=0o700)
    os.chown(root, 12345, 12345)
    with pytest.raises(StorageError, match="belongs to another user"):
        Cache(root)
    link = tmp_path / "link"
    (tmp_path / "own").mkdir(mode=0o700)
    link.symlink_to(tmp_path / "own")
    os.chown(link, 12345, 12345, follow_symlinks=False)
    with pytest.raises(StorageError, match="belongs to another user"):
        Cache(link)
