from __future__ import annotations

from pathlib import Path

import pytest

from repro.primitives.disks import file_system, holds_writable_layers


def test_a_folder_s_own_file_system() -> None:
    assert file_system(Path("/proc")) == "proc"
    assert file_system(Path("/proc/there-is-no-such/folder")) == "proc"


def test_what_is_not_known_is_tried() -> None:
    assert holds_writable_layers(None)
    assert holds_writable_layers("ext4") and holds_writable_layers("tmpfs")


@pytest.mark.parametrize("kind", ["fuse.sshfs", "fuse", "nfs4", "nfs", "cifs", "overlay", "lustre"])
def test_what_overlayfs_refuses(kind: str) -> None:
    assert not holds_writable_layers(kind)
