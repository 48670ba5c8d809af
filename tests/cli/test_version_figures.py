"""Versions by figures: what ten of them cost, that each comes back, and what a kill leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from repro.model.oci import SBOM
from repro.model.written import FOLDER_MARK
from repro.store.archive import Archive
from repro.store.catalog import references
from tests.workflows.lab import Lab

COUNT = 10
PYTHON = (sys.executable, "-I", "-S", "analysis.py")


def script(number: int) -> str:
    return f"import json\nwith open('out.json', 'w') as f:\n    json.dump({number} ** 40, f)\n"


def words(lab: Lab, tag: str) -> list[str]:
    return ["snapshot", "-q", "--no-self-test", "-o", str(lab.archive), "--tag", tag, "--", *PYTHON]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Ten versions of one project: only the script differs."""
    folder = tmp_path_factory.mktemp("ten")
    made = Lab(folder, folder / "cache")
    made.write("table.csv", "a,b\n1,2\n")
    for number in range(1, COUNT + 1):
        made.write("analysis.py", script(number))
        made.repro(*words(made, f"v{number}"))
    return made


def test_each_version_adds_less_than_one_percent(lab: Lab) -> None:
    """Alone, and all nine together come to little more: versions with the same packages share
    one bill of materials."""
    document = json.loads(lab.repro("log", "--json", str(lab.archive)).stdout)
    *later, first = [each["added"] for each in document["versions"]]
    assert len(later) == COUNT - 1
    assert max(later) < first / 100
    with Archive.open(lab.archive) as archive:
        layers = sum(len({layer.diff_id for layer in v.layers}) for v in archive.versions)
        bills = {
            each.digest
            for version in archive.versions
            for _, each in references(version)
            if each.media_type == SBOM
        }
    assert len(bills) == 1
    assert sum(later) < first * 15 / 1000
    # Of the layers only that of the code is new.
    assert len({x.diff_id for v in archive.versions for x in v.layers}) == layers // COUNT + 9


def test_every_version_comes_back_byte_for_byte(lab: Lab, tmp_path: Path) -> None:
    for number in (10, 1, *range(2, 10)):
        project, results = tmp_path / f"p{number}", tmp_path / f"r{number}"
        lab.repro("extract", "-q", f"{lab.archive}:v{number}", str(project))
        found = {p.name: p.read_text() for p in project.iterdir() if p.name != FOLDER_MARK}
        assert found == {"analysis.py": script(number), "table.csv": "a,b\n1,2\n"}
        lab.repro("extract", "-q", "--results", f"{lab.archive}:v{number}", str(results))
        assert json.loads((results / "out.json").read_text()) == number**40
    with Archive.open(lab.archive) as archive:
        assert archive.verify() > COUNT * 8, "every blob has its digest"


@pytest.mark.parametrize("delay", [0.3, 0.8, 1.2, 1.6, 2.0])
def test_kill_9_while_adding_leaves_whole_versions(lab: Lab, delay: float) -> None:
    """Wherever it is hit: the old file to the byte, or the new one whole."""
    before = lab.archive.read_bytes()
    with Archive.open(lab.archive) as archive:
        old = {each.tag: each.manifest_digest for each in archive.versions}
    tag = f"killed{int(delay * 10)}"
    process = subprocess.Popen(
        [sys.executable, "-m", "repro", *words(lab, tag)], cwd=lab.project, env=lab.env,
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(delay)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)
    with Archive.open(lab.archive) as archive:
        archive.verify()
        found = {each.tag: each.manifest_digest for each in archive.versions}
    assert {name: found[name] for name in old} == old
    if tag not in found:
        assert lab.archive.read_bytes() == before
    lab.repro(*words(lab, f"after{int(delay * 10)}"))
    left = [name for name in os.listdir(lab.folder) if name.startswith(".a.repro")]
    assert not left, "what the dead one left is cleared"
