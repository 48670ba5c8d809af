from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from repro.errors import ArchiveError, ProjectError, UsageError
from repro.model.entry import FileEntry, LayerKind
from repro.primitives.canonical import CLAMP
from repro.store.archive import Archive
from repro.workflows.log import log
from repro.workflows.restore import Restored, plan_restore
from repro.workflows.rollback import RolledBack, rollback
from tests.unit.store.archive_sample import ROOT, file, folder, symlink
from tests.unit.workflows.versions_sample import add_version


def project(number: int) -> list[FileEntry]:
    """Version ``number`` of a project."""
    found = [
        file("/bin/tool", b"#!/bin/sh\n", LayerKind.BASE, mode=0o755, origin="deb:tool"),
        file(f"{ROOT}/analysis.py", b"print(%d)\n" % number),
        file(f"{ROOT}/run.sh", b"exec true\n", mode=0o755),
        file(f"{ROOT}/data/table.csv", b"%d\n" % number * 500, LayerKind.DATA),
        folder(f"{ROOT}/results"),
        symlink(f"{ROOT}/last", f"data-{number}"),
        symlink(f"{ROOT}/out", "/etc/passwd"),
        file(f"{ROOT}/.venv/lib/x.py", b"%d" % number, LayerKind.PACKAGES, origin="pip:x"),
    ]
    if number == 3:
        found.append(file(f"{ROOT}/only3.py", b"three"))
    return found


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "paper.repro"
    for number in (1, 2, 3):
        add_version(
            path, tmp_path / "work", f"v{number}", files=project(number),
            circumstances={"created": f"2024-05-0{number}T07:08:09Z"},
        )  # fmt: skip
    return path


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "project"


def go(archive: Path, tag: str, folder: Path | None = None, force: bool = False) -> RolledBack:
    return rollback(
        archive, tag, folder=folder, force=force, clamp=CLAMP,
        environ={"REPRO_CACHE": str(archive.parent / "cache")},
    )  # fmt: skip


def restored(*words: Any, **more: Any) -> Restored:
    found = go(*words, **more).restored
    assert found is not None
    return found


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_text()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_an_older_version_is_the_default_and_nothing_is_lost(archive: Path) -> None:
    before = {each["tag"]: each["digest"] for each in log(archive, None)["versions"]}
    done = go(archive, "v1")
    assert (done.default, done.before, done.digest) == ("v1", "v3", before["v1"])
    document = log(archive, None)
    assert document["archive"]["default"] == "v1"
    # Age and order stay what they are.
    assert {each["tag"]: each["digest"] for each in document["versions"]} == before
    assert [each["tag"] for each in document["versions"]] == ["v3", "v2", "v1"]
    with Archive.open(archive) as opened:
        opened.verify()
        assert opened.version(None).tag == "v1" and done.digest in opened.readme
    same = archive.read_bytes()
    assert go(archive, "v1").before == "v1" and archive.read_bytes() == same
    assert go(archive, "v3").default == "v3"
    with pytest.raises(UsageError, match="no version"):
        go(archive, "v9")


def test_every_version_comes_back_byte_for_byte(archive: Path, work: Path) -> None:
    for number in (2, 1, 3, 1):
        done = restored(archive, f"v{number}", work)
        assert content(work) == {
            "analysis.py": f"print({number})\n", "run.sh": "exec true\n",
            "data/table.csv": f"{number}\n" * 500, "last": f"data-{number}",
            **({"only3.py": "three"} if (work / "only3.py").exists() else {}),
        }  # fmt: skip
        assert set(done.written) >= {"analysis.py", "data/table.csv", "last"}
    assert done.left == ("only3.py",) and done.same == 1 and not done.replaced
    assert stat.S_IMODE((work / "run.sh").stat().st_mode) & 0o111
    assert not [name for name in os.listdir(work) if "restore" in name]
    said = "\n".join(done.skipped)
    assert "out: a link that leads outside" in said and "1 files of environments" in said


def test_what_a_person_changed_is_not_lost(archive: Path, work: Path) -> None:
    restored(archive, "v3", work)
    (work / "analysis.py").write_text("my own\n")
    before = archive.read_bytes()
    with pytest.raises(ProjectError) as error:
        go(archive, "v1", work)
    assert error.value.slug == "changed-files" and error.value.details == ("analysis.py",)
    assert (work / "data/table.csv").read_text() == "3\n" * 500, "nothing was written"
    assert archive.read_bytes() == before, "and the default stays"
    done = restored(archive, "v1", work, force=True)
    assert done.replaced == ("analysis.py",)
    assert content(work)["analysis.py"] == "print(1)\n"


def test_a_changed_link_and_a_file_for_a_link_are_changes_too(archive: Path, work: Path) -> None:
    restored(archive, "v3", work)
    (work / "last").unlink()
    (work / "last").symlink_to("my-data")
    (work / "run.sh").unlink()
    (work / "run.sh").symlink_to("analysis.py")
    with pytest.raises(ProjectError) as error:
        go(archive, "v1", work)
    assert error.value.details == ("last", "run.sh")
    restored(archive, "v1", work, force=True)
    assert not (work / "run.sh").is_symlink()
    assert content(work)["analysis.py"] == "print(1)\n", "not written through the link"


def test_recorded_results_may_be_replaced(tmp_path: Path, work: Path) -> None:
    """A result written back lies where an earlier version has an input."""
    path = tmp_path / "paper.repro"
    result = b"slope,intercept\n0.5,1.25\n"
    add_version(
        path, tmp_path / "w", "v1", files=[*project(1), file(f"{ROOT}/results/fit.csv", b"in")]
    )
    work.mkdir()
    (work / "results").mkdir()
    (work / "results/fit.csv").write_bytes(result)
    assert "results/fit.csv" in restored(path, "v1", work).written


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_file_is_never_replaced(
    archive: Path, work: Path, tmp_path: Path, force: bool
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "table.csv").write_text("3\n" * 500)
    work.mkdir()
    (work / "data").symlink_to(elsewhere)
    (work / "analysis.py").mkdir()
    os.mkfifo(work / "run.sh")
    with pytest.raises(ProjectError) as error:
        go(archive, "v1", work, force=force)
    assert len(error.value.details) == 3
    assert (elsewhere / "table.csv").read_text() == "3\n" * 500
    assert not (work / "last").exists()
    with pytest.raises(UsageError, match="is not a folder"):
        go(archive, "v1", archive, force=force)


def test_an_executable_bit_comes_back(archive: Path, work: Path) -> None:
    restored(archive, "v1", work)
    (work / "run.sh").chmod(0o644)
    done = restored(archive, "v1", work)
    assert done.written == ("run.sh",) and not done.replaced
    assert (work / "run.sh").stat().st_mode & 0o100


def test_a_project_folder_that_leaves_the_image_is_refused(archive: Path, work: Path) -> None:
    with Archive.open(archive) as opened:
        recording = opened.recording(opened.version(None))
        odd = replace(recording, claims=replace(recording.claims, root="/../../../etc"))
        opened.recording = lambda version: odd  # type: ignore[method-assign]
        with pytest.raises(ArchiveError, match="no plain absolute path"):
            plan_restore(
                opened, opened.version(None), work, False,
                {"REPRO_CACHE": str(archive.parent / "cache")},
            )  # fmt: skip
