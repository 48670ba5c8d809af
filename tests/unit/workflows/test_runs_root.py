"""Where the writable layers of runs lie when the cache is on a disk that holds none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from repro.errors import StorageError
from repro.workflows import places
from repro.workflows.places import runs_root


@pytest.fixture
def on_nfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment whose cache is on NFS, and TMPDIR on a disk."""
    kinds = {tmp_path / "cache" / "runs": "nfs4"}
    monkeypatch.setattr(places, "file_system", lambda folder: kinds.get(folder, "ext4"))
    (tmp_path / "tmp").mkdir()
    return {"REPRO_CACHE": str(tmp_path / "cache"), "TMPDIR": str(tmp_path / "tmp")}


def test_in_the_cache(tmp_path: Path) -> None:
    assert runs_root({"REPRO_CACHE": str(tmp_path)}) == tmp_path / "runs"


def test_elsewhere_and_ours_alone(on_nfs: dict[str, str], tmp_path: Path) -> None:
    found = runs_root(on_nfs)
    assert found == tmp_path / "tmp" / f"repro-runs-{os.geteuid()}"
    assert found.stat().st_mode & 0o777 == 0o700
    assert runs_root(on_nfs) == found, "again"


def test_a_folder_that_others_can_enter_is_refused(on_nfs: dict[str, str]) -> None:
    runs_root(on_nfs).chmod(0o770)
    with pytest.raises(StorageError, match="yours alone"):
        runs_root(on_nfs)


def test_a_link_is_refused(on_nfs: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o700)
    runs_root(on_nfs).rmdir()
    (tmp_path / "tmp" / f"repro-runs-{os.geteuid()}").symlink_to(tmp_path / "mine")
    with pytest.raises(StorageError, match="yours alone"):
        runs_root(on_nfs)
    assert not list((tmp_path / "mine").iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder away")
def test_another_user_s_folder_is_refused(on_nfs: dict[str, str]) -> None:
    os.chown(runs_root(on_nfs), 65534, 65534)
    with pytest.raises(StorageError, match="yours alone"):
        runs_root(on_nfs)
