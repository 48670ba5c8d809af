from __future__ import annotations

import os
from pathlib import Path

import pytest

from repro.compare.sides import outputs_in


def test_plain_files_links_and_names_of_every_kind(tmp_path: Path) -> None:
    names = ["a.txt", "with space/b\nc", "x" * 255, os.fsdecode(b"bad\xff"), "empty"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"" if name == "empty" else b"data")
    os.symlink("/etc/passwd", tmp_path / "link")
    found = outputs_in(str(tmp_path), [*names, "link", "absent", "no/folder"])
    assert sorted(found) == sorted([*names, "link"])
    assert found["link"].link
    assert found["link"].open().read() == b"/etc/passwd"
    assert found["a.txt"].open().read() == b"data"
    assert found["empty"].size == 0


def test_a_folder_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("x")
    root = tmp_path / "root"
    root.mkdir()
    os.symlink("../outside", root / "folder")
    assert outputs_in(str(root), ["folder/secret", "../outside/secret"]) == {}


def test_special_files_are_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert outputs_in(str(tmp_path), ["pipe"]) == {}


def test_a_file_replaced_by_a_link_or_fifo_is_not_read(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text("x")
    found = outputs_in(str(tmp_path), ["one", "two"])
    for name in ("one", "two"):
        (tmp_path / name).unlink()
    os.symlink("/etc/passwd", tmp_path / "one")
    os.mkfifo(tmp_path / "two")
    for name in ("one", "two"):
        with pytest.raises(OSError):
            found[name].open()


def test_the_folder_may_be_a_descriptor_and_stays_open(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    found = outputs_in(f"/proc/self/fd/{fd}", ["a"])
    os.close(fd)
    assert found["a"].open().read() == b"x"
    assert found["a"].digest == found["a"].digest


def test_descriptors_do_not_pile_up(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        outputs_in(str(tmp_path), ["a"])["a"].open().close()
    assert len(os.listdir("/proc/self/fd")) <= before + 1
