from __future__ import annotations

from pathlib import Path

import pytest

from repro.errors import ArchiveError
from repro.workflows.copies import dropped_when_damaged


@pytest.mark.parametrize("folder", ["pulled", "fattened"])
def test_a_damaged_copy_of_ours_is_dropped(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    copy = tmp_path / folder / "a.repro"
    copy.write_bytes(b"damaged")
    with pytest.raises(ArchiveError) as refused, dropped_when_damaged(copy, tmp_path):
        raise ArchiveError("layer 3 does not match its digest", slug="archive-digest")
    assert not copy.exists()
    assert refused.value.slug == "archive-digest" and "run it again" in (refused.value.hint or "")


def test_an_archive_of_the_reviewer_s_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "a.repro"
    theirs.write_bytes(b"damaged")
    with pytest.raises(ArchiveError) as refused, dropped_when_damaged(theirs, tmp_path / "cache"):
        raise ArchiveError("x", hint="fetch it again")
    assert theirs.exists() and refused.value.hint == "fetch it again"
