"""A cache that is made under any umask is its owner's alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from repro.primitives.files import private_folder
from repro.workflows.places import scratch


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o077])
def test_folders_above_are_private_too(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        private_folder(tmp_path / "a" / "b" / "c")
        with scratch(tmp_path / "cache" / "runs", "x"):
            pass
    finally:
        os.umask(before)
    for made in ("a", "a/b", "a/b/c", "cache", "cache/runs"):
        assert stat.S_IMODE((tmp_path / made).stat().st_mode) == 0o700
