"""What git says of a project, asked of a real repository."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from repro.workflows.repository import file_state, git_state


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        if os.environ.get("CI"):
            pytest.fail("git is not installed")
        pytest.skip("git is not installed")
    top = tmp_path / "top"
    (top / "paper/new").mkdir(parents=True)
    for name in ("same.py", "edited.py", "old.py", "gone.py"):
        (top / "paper" / name).write_text(name)
    (top / ".gitignore").write_text("*.log\ncache/\n")
    git(top, "init", "-q")
    git(top, "add", ".")
    git(top, "commit", "-q", "-m", "first")
    return top / "paper"


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *words],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_every_file_by_its_state(repository: Path) -> None:
    (repository / "edited.py").write_text("other")
    (repository / "staged.py").write_text("s")
    git(repository, "add", "staged.py")
    git(repository, "mv", "old.py", "renamed one.py")
    (repository / "gone.py").unlink()
    (repository / "new/part ü\n.py").write_text("n")
    (repository / "a.log").write_text("l")
    (repository / "cache").mkdir()
    (repository / "cache/x").write_text("x")
    (repository.parent / "outside.py").write_text("not of the project")
    found = git_state(str(repository), os.environ)
    assert found is not None
    assert found["commit"] == git(repository, "rev-parse", "HEAD").strip()
    assert found["prefix"] == "paper/" and found["complete"] is True
    states = {
        "same.py": "committed", "edited.py": "changed", "staged.py": "uncommitted",
        "renamed one.py": "uncommitted", "old.py": "committed", "gone.py": "changed",
        "new/part ü\n.py": "uncommitted", "a.log": "uncommitted", "cache/x": "uncommitted",
    }  # fmt: skip
    assert {name: file_state(found, name) for name in states} == states
    assert not [line for line in found["changed"] if "outside" in line]


def test_without_a_repository_or_commit_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert git_state(str(tmp_path), os.environ) is None
    if shutil.which("git"):
        git(tmp_path, "init", "-q")
        assert git_state(str(tmp_path), os.environ) is None


def test_an_unfinished_list_of_changes_proves_nothing(repository: Path) -> None:
    for number in range(1001):
        (repository / f"{number}.txt").write_text("")
    found = git_state(str(repository), os.environ)
    assert found is not None and found["changed_count"] == 1001
    assert len(found["changed"]) == 1000
    assert file_state(found, "same.py") is None
