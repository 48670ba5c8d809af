from __future__ import annotations

import os
from pathlib import Path

import pytest

from repro.errors import RerunFailed
from repro.runtime.rootfs import MOUNT_POINTS, check_upper, make_trusted, proc_masks


def test_trusted_layer(tmp_path: Path) -> None:
    root = tmp_path / "t"
    make_trusted(root, "/home/a", b"nameserver x\n")
    for name in MOUNT_POINTS:
        assert (root / name).is_dir() and not (root / name).is_symlink()
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert "repro:x:1000:1000:repro:/home/a:" in (root / "etc/passwd").read_text()
    assert (root / "etc/resolv.conf").read_bytes() == b"nameserver x\n"


@pytest.mark.parametrize("home", ["/a:b\nroot2:x:0:0", "relative", ""])
def test_a_hostile_home_writes_no_lines(tmp_path: Path, home: str) -> None:
    make_trusted(tmp_path / "t", home, b"")
    assert len((tmp_path / "t/etc/passwd").read_text().splitlines()) == 2


@pytest.mark.parametrize("name", MOUNT_POINTS)
def test_a_step_that_replaces_a_mount_point_is_the_last(tmp_path: Path, name: str) -> None:
    check_upper(str(tmp_path))
    (tmp_path / name).mkdir()
    check_upper(str(tmp_path))
    (tmp_path / name).rmdir()
    (tmp_path / name).symlink_to("/etc")
    with pytest.raises(RerunFailed):
        check_upper(str(tmp_path))
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(RerunFailed):
        check_upper(str(tmp_path))


def test_a_closed_root_is_refused(tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    upper.mkdir()
    upper.chmod(0)
    with pytest.raises(RerunFailed) as caught:
        check_upper(str(upper))
    upper.chmod(0o700)
    assert caught.value.slug == "hostile-step"


def test_masks_of_proc_name_what_is_there(tmp_path: Path) -> None:
    words = proc_masks(str(tmp_path))
    assert len(words) % 3 == 0
    targets = dict(zip(words[2::3], words[1::3], strict=True))
    assert targets["/proc/sys"] == "/proc/sys"
    assert set(words[::3]) == {"--ro-bind"}
    for target, source in targets.items():
        assert os.path.lexists(target)
        assert source in (target, "/dev/null", str(tmp_path))
        assert os.path.isdir(source) == os.path.isdir(target)
