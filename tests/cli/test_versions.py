"""Several versions in one file, as a person types it: log, tag, prune."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.workflows.lab import Lab, need_an_engine


@pytest.fixture(scope="module", autouse=True)
def engine() -> None:
    need_an_engine()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def lab(tmp_path: Path, cache: Path) -> Lab:
    return Lab(tmp_path, cache)


def add(lab: Lab, tag: str, content: str) -> None:
    lab.write("make.sh", f"echo {content} > out.txt\n")
    lab.repro("snapshot", "-q", "-o", str(lab.archive), "--tag", tag, "-m", f"{content}\nmore",
              "--", "sh", "make.sh")  # fmt: skip


def log(lab: Lab) -> list[dict[str, Any]]:
    document = json.loads(lab.repro("log", "--json", str(lab.archive)).stdout)
    assert document["schema"] == "repro.log/1"
    found: list[dict[str, Any]] = document["versions"]
    return found


def test_log_tag_prune(lab: Lab) -> None:
    for number in (1, 2, 3):
        add(lab, f"v{number}", f"number {number}")
    assert [each["message"] for each in log(lab)] == [f"number {n}\nmore" for n in (3, 2, 1)]
    identities = {each["tag"]: each["digest"] for each in log(lab)}
    shown = lab.repro("log", str(lab.archive)).stdout.splitlines()
    assert shown[0].startswith("* v3") and "self-test identical" in shown[0]
    assert shown[1].strip() == "number 3"
    lab.repro("tag", f"{lab.archive}:v2", "submitted")
    assert "has a version" in lab.repro("tag", str(lab.archive), "v1", status=2).stderr
    done = lab.repro("prune", "--json", str(lab.archive), "v1")
    assert json.loads(done.stdout)["dropped"] == ["v1"]
    assert {each["tag"]: each["digest"] for each in log(lab)} == {
        tag: digest for tag, digest in identities.items() if tag != "v1"
    }
    found = json.loads(lab.repro("verify", "--json", f"{lab.archive}:submitted").stdout)
    assert found["archive"]["digest"] == identities["v2"] and found["verdict"] == "identical"
    assert "usage" in lab.repro("prune", str(lab.archive), status=2).stderr


def test_the_note_is_no_part_of_the_identity(lab: Lab) -> None:
    made = []
    for message in ("one", "another"):
        lab.write("make.sh", "echo 1 > out.txt\n")
        done = lab.repro("snapshot", "--json", "-o", str(lab.archive), "-m", message, "--",
                         "sh", "make.sh")  # fmt: skip
        made.append(json.loads(done.stdout)["archive"]["digest"])
        assert log(lab)[0]["message"] == message
    assert made[0] == made[1]


def test_two_snapshots_at_once_are_two_versions(lab: Lab) -> None:
    add(lab, "v1", "first")
    words = ["snapshot", "-q", "-o", str(lab.archive), "--tag"]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "repro", *words, tag, "--", "sh", "-c", f"echo {tag} > out.txt"],
            cwd=lab.project, env=lab.env, stderr=subprocess.PIPE, text=True,
        )
        for tag in ("left", "right")
    ]  # fmt: skip
    for process in running:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert {each["tag"] for each in log(lab)} == {"v1", "left", "right"}
    for tag in ("v1", "left", "right"):
        lab.repro("verify", "-q", f"{lab.archive}:{tag}")


def test_diff_of_versions_names_what_else_changed(lab: Lab) -> None:
    add(lab, "v1", "one")
    lab.write("notes.txt", "read me\n")
    lab.write("make.sh", "read x < notes.txt; echo $x > out.txt\n")
    lab.repro("snapshot", "-q", "-o", str(lab.archive), "--tag", "v2", "--env", "COLOUR=blue",
              "--", "sh", "-e", "make.sh")  # fmt: skip
    pair = (f"{lab.archive}:v1", f"{lab.archive}:v2")
    found = json.loads(lab.repro("diff", "--json", *pair, status=1).stdout)
    assert found["outputs"][0]["verdict"] == "different"
    made = found["changes"]
    assert [each["path"] for each in made["files"]["added"]] == [str(lab.project / "notes.txt")]
    assert [each["path"] for each in made["files"]["changed"]] == [str(lab.project / "make.sh")]
    assert [each["path"] for each in made["outputs"]["changed"]] == ["out.txt"]
    assert made["run"]["steps"]["new"][0]["argv"] == ["sh", "-e", "make.sh"]
    assert made["run"]["environment"]["COLOUR"] == {"old": None, "new": "blue"}
    shown = lab.repro("diff", *pair, status=1).stdout.splitlines()
    assert "--layers" in shown[-1]
    shown = lab.repro("diff", "--layers", *pair, status=1).stdout.splitlines()
    assert "variable  + COLOUR=blue" in shown
    assert any(line.strip().startswith(f"+ {lab.project}/notes.txt") for line in shown)
    lab.repro("diff", "--layers", "make.sh", "notes.txt", status=2)


def test_rollback_and_the_files_of_a_version(lab: Lab) -> None:
    for number in (1, 2):
        add(lab, f"v{number}", f"number {number}")
    done = lab.repro("rollback", str(lab.archive), "v1", "--restore", ".")
    assert "wrote    make.sh" in done.stdout
    assert (lab.project / "make.sh").read_text() == "echo number 1 > out.txt\n"
    assert [each["tag"] for each in log(lab) if each["default"]] == ["v1"]
    found = json.loads(lab.repro("verify", "--json", str(lab.archive)).stdout)
    assert found["archive"]["tag"] == "v1"
    lab.write("make.sh", "echo mine > out.txt\n")
    said = lab.repro("rollback", f"{lab.archive}:v2", "--restore", ".", status=3).stderr
    assert "error[changed-files]" in said and "make.sh" in said
    done = lab.repro("rollback", f"{lab.archive}:v2", "--restore", ".", "--force", "--json")
    assert json.loads(done.stdout)["restored"]["replaced"] == ["make.sh"]
    lab.repro("rollback", str(lab.archive), status=2)
    # A version added later is the default again.
    add(lab, "v3", "number 3")
    assert [each["tag"] for each in log(lab) if each["default"]] == ["v3"]
