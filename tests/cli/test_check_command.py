"""`repro check` as a person types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "LICENSE").write_text("MIT")
    (tmp_path / "main.py").write_text("import random\nprint(random.random())\n")
    return tmp_path


def run(project: Path, *options: str, status: int) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "repro", "check", *options], cwd=project, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done


def test_risks_alone_end_with_zero(project: Path) -> None:
    done = run(project, status=0)
    assert "risk   main.py:2: random.random without a seed" in done.stdout
    assert "mend: call random.seed(1) first" in done.stdout
    assert "0 would stop a rerun, 1 risk;" in done.stdout
    assert "not seen: code is read, not run" in done.stderr


def test_strict(project: Path) -> None:
    run(project, "--strict", status=1)
    (project / "main.py").write_text("print(1)\n")
    run(project, "--strict", status=0)


def test_what_stops_ends_with_one(project: Path) -> None:
    (project / "main.py").write_text("print 1\n")
    done = run(project, status=1)
    assert "stops  main.py:1: Python 3." in done.stdout


def test_json(project: Path) -> None:
    document = json.loads(run(project, "--json", status=0).stdout)
    assert document["schema"] == "repro.check/1"
    assert (document["stops"], document["risks"]) == (0, 1)
    finding = document["findings"][0]
    assert (finding["code"], finding["path"], finding["line"]) == ("unseeded", "main.py", 2)
    assert document["limits"]


def test_a_folder_named_on_the_command_line(project: Path, tmp_path: Path) -> None:
    run(Path("/"), str(project), status=0)
    assert "error[project]" in run(Path("/"), str(project / "gone"), status=3).stderr


def test_names_cannot_draw_on_the_terminal(project: Path) -> None:
    (project / "a\x1b[31m.py").write_text("print 1\n")
    done = run(project, status=1)
    assert "\x1b" not in done.stdout
    assert "a\\x1b[31m.py:1" in done.stdout
