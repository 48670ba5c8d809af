from __future__ import annotations

import os
from pathlib import Path

import pytest

from repro.primitives.files import atomic_write, open_inside, walk


def test_atomic_write_replaces_whole(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), atomic_write(path) as stream:
        stream.write(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]
    with atomic_write(path) as stream:
        stream.write(b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o644


def test_open_inside_stays_inside(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "secret").write_text("no")
    (tmp_path / "root" / "up").symlink_to("../secret")
    (tmp_path / "root" / "abs").symlink_to(tmp_path / "secret")
    (tmp_path / "root" / "file").write_text("yes")
    (tmp_path / "root" / "ok").symlink_to("file")
    root = os.open(tmp_path / "root", os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in ("up", "abs", "../secret"):
            for follow in (False, True):
                with pytest.raises(OSError):
                    os.close(open_inside(root, name, os.O_RDONLY, follow=follow))
        with pytest.raises(OSError):
            os.close(open_inside(root, "ok", os.O_RDONLY))
        fd = open_inside(root, "ok", os.O_RDONLY, follow=True)
        assert os.read(fd, 9) == b"yes"
        os.close(fd)
    finally:
        os.close(root)


def test_walk_order(tmp_path: Path) -> None:
    for name in ("b", "a/z", "a/y", "C", "é"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "link").symlink_to("a")
    assert [path for path, _ in walk(str(tmp_path))] == ["C", "a", "b", "link", "é", "a/y", "a/z"]
