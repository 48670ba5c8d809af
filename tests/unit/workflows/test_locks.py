"""The lock of an archive as files, and its bill of materials."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from repro.errors import ArchiveError, UsageError
from repro.model.lock import Grade, Lock, LockedPackage
from repro.workflows.inspect import bill_of_materials, inspect
from repro.workflows.locks import write_locks
from repro.workflows.origins import origin
from tests.unit.store.archive_sample import make_archive

LOCK = Lock(
    packages=(
        LockedPackage(
            source="apt", name="tool", version="1.0-1", purl="pkg:deb/debian/tool@1.0-1",
            grade=Grade.NAME_ONLY, facts={"arch": "amd64"},
        ),
    ),
    skipped={"pip": "nothing of it was used"},
)  # fmt: skip


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "l.repro"
    make_archive(path, tmp_path / "work", lock=LOCK)
    return path


def test_the_lists_and_the_lock_itself(archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    written = write_locks(archive, None, folder, force=False)
    assert [each.name for each in written] == ["apt.txt"]
    assert sorted(path.name for path in folder.iterdir()) == ["apt.txt", "lock.json"]
    document = json.loads((folder / "lock.json").read_text())
    assert Lock.parse(document) == LOCK and document["schema"] == "repro.lock/1"
    assert "tool:amd64=1.0-1\n" in (folder / "apt.txt").read_text()
    with pytest.raises(UsageError, match="not empty"):
        write_locks(archive, None, folder, force=False)
    first = (folder / "apt.txt").read_bytes()
    write_locks(archive, None, folder, force=True)
    assert (folder / "apt.txt").read_bytes() == first


def test_an_archive_without_a_bill_says_so(archive: Path) -> None:
    with pytest.raises(UsageError, match="no bill of materials for latest") as caught:
        bill_of_materials(archive, None)
    assert caught.value.slug == "no-sbom" and "--pins" in str(caught.value.hint)


@pytest.mark.parametrize(
    "document",
    [{"packages": ["x"]}, {"packages": [{"name": "a"}]}, {"skipped": []}, {"packages": {}}],
    ids=range(4),
)
def test_a_lock_of_a_stranger_is_refused_and_no_crash(
    tmp_path: Path, document: dict[str, object]
) -> None:
    class Odd:
        def to_json(self) -> dict[str, object]:
            return {"schema": "repro.lock/1", **document}

    path = tmp_path / "odd.repro"
    make_archive(path, tmp_path / "work", lock=Odd())
    for ask in (
        lambda: inspect(path, None),
        lambda: write_locks(path, None, tmp_path / "out", force=False),
        lambda: origin(path, None, "analysis.py"),
    ):
        with pytest.raises(ArchiveError):
            ask()
