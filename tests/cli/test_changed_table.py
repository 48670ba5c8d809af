"""One changed row in a table of 50 MB, as a person does it: what it adds, and all versions back."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from repro.store.archive import Archive
from tests.workflows.lab import Lab, need_an_engine

pytestmark = pytest.mark.slow
SIZE = 50_000_000
COUNT = 4


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Versions v1 to v4 of a project whose table has one more corrected row each."""
    need_an_engine()
    folder = tmp_path_factory.mktemp("table")
    made = Lab(folder, folder / "cache")
    made.write("sum.sh", "wc -l <big.csv >out.txt; tail -c 100 big.csv >>out.txt\n")
    rng = random.Random(1)
    rows, size = [], 0
    while size < SIZE:
        rows.append(
            f"{len(rows)},site{rng.randrange(40)},{rng.gauss(20, 5):.3f},{rng.random():.4f}\n"
        )
        size += len(rows[-1])
    for number in range(1, COUNT + 1):
        if number > 1:
            rows[len(rows) * number // 6] = f"corrected by hand for version {number},,\n"
        made.write("big.csv", "".join(rows))
        (folder / f"v{number}").write_text(hashlib.sha256("".join(rows).encode()).hexdigest())
        made.repro(*words(made, f"v{number}"))
        (folder / f"size{number}").write_text(str(made.archive.stat().st_size))
    return made


def words(lab: Lab, tag: str) -> list[str]:
    return ["snapshot", "-q", "--no-self-test", "-o", str(lab.archive), "--tag", tag, "--",
            "sh", "sum.sh"]  # fmt: skip


def test_a_changed_row_adds_far_less_than_the_file(lab: Lab) -> None:
    sizes = [int((lab.folder / f"size{number}").read_text()) for number in range(1, COUNT + 1)]
    with Archive.open(lab.archive) as found:
        layer = max(x.descriptor.size for x in found.version(None).layers if x.kind == "data")
        assert found.folded == {"v1", "v2", "v3"} and found.verify()
    grown = [later - earlier for earlier, later in zip(sizes, sizes[1:], strict=False)]
    assert layer > 10_000_000 and max(grown) < layer / 20 < SIZE / 20, grown
    shown = lab.repro("log", str(lab.archive)).stdout.splitlines()
    assert ["folded" in line for line in shown] == [False, True, True, True]


@pytest.mark.parametrize("number", [1, 3, 4])
def test_every_version_comes_back_and_verifies(lab: Lab, tmp_path: Path, number: int) -> None:
    lab.repro("extract", "-q", f"{lab.archive}:v{number}", str(tmp_path / "p"))
    digest = hashlib.sha256((tmp_path / "p/big.csv").read_bytes()).hexdigest()
    assert digest == (lab.folder / f"v{number}").read_text()
    found = json.loads(lab.repro("verify", "--json", f"{lab.archive}:v{number}").stdout)
    assert found["verdict"] == "identical"


@pytest.mark.parametrize("delay", [1.0, 1.6, 2.2])
def test_kill_9_while_folding_leaves_whole_versions(lab: Lab, delay: float) -> None:
    before = lab.archive.read_bytes()
    with Archive.open(lab.archive) as archive:
        old = {each.tag: each.manifest_digest for each in archive.versions}
    table = lab.project / "big.csv"
    table.write_text(f"new first row {delay}\n" + table.read_text())
    process = subprocess.Popen(
        [sys.executable, "-m", "repro", *words(lab, f"killed{int(delay * 10)}")], cwd=lab.project,
        env=lab.env, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(delay)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)
    with Archive.open(lab.archive) as archive:
        archive.verify()
        found = {each.tag: each.manifest_digest for each in archive.versions}
    assert {name: found[name] for name in old} == old
    if found == old:
        assert lab.archive.read_bytes() == before
    lab.repro(*words(lab, f"after{int(delay * 10)}"))
    with Archive.open(lab.archive) as archive:
        assert archive.verify() and set(old) < {each.tag for each in archive.versions}
    assert not [n for n in os.listdir(lab.folder) if n.startswith((".a.repro", ".repro-pieces"))]


def test_rollback_makes_the_first_one_whole(lab: Lab) -> None:
    with Archive.open(lab.archive) as archive:
        old = {each.tag: each.manifest_digest for each in archive.versions}
    lab.repro("rollback", "-q", f"{lab.archive}:v1")
    with Archive.open(lab.archive) as archive:
        assert archive.verify() and "v1" not in archive.folded
        assert {each.tag: each.manifest_digest for each in archive.versions} == old
