"""A snapshot that was killed while packing goes on with the layers that were packed already."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from repro.store.archive import Archive
from tests.workflows.lab import Lab

FILES = 4
SIZE = 17_000_000  # over what a data file needs for a layer of its own
COMMAND = ("--", "sh", "-c", "cat d*.bin | wc -c > n")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A project with some large files, older than what is too young to be trusted."""
    folder = tmp_path_factory.mktemp("large")
    lab = Lab(folder, folder / "cache")
    for number in range(FILES):
        path = lab.project / f"d{number}.bin"
        path.write_bytes(random.Random(number).randbytes(SIZE))
        os.utime(path, (1_600_000_000, 1_600_000_000))
    time.sleep(2.1)
    return lab


@pytest.fixture
def data(project: Lab, tmp_path: Path) -> Lab:
    """The project with an empty cache, and no archive yet."""
    project.env["REPRO_CACHE"] = str(tmp_path / "cache")
    project.archive = tmp_path / "a.repro"
    return project


def notes(cache: Path) -> int:
    return len(list((cache / "packed").glob("*.json")))


def half_packed(cache: Path) -> bool:
    return any((cache / "staging").glob("pack-*/.layer-*"))


def killed_at(lab: Lab, count: int) -> None:
    """Start a snapshot; kill -9 it when ``count`` layers are kept and the next one is written."""
    cache = Path(lab.env["REPRO_CACHE"])
    words = ["snapshot", "-q", "--no-self-test", "-o", str(lab.archive), *COMMAND]
    process = subprocess.Popen(
        [sys.executable, "-m", "repro", *words], cwd=lab.project, env=lab.env,
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not (notes(cache) >= count and half_packed(cache)):
        assert process.poll() is None, "it ended before it was killed"
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


@pytest.mark.parametrize("count", [0, 3])
def test_kill_9_while_packing(data: Lab, tmp_path: Path, count: int) -> None:
    """Whatever was complete is used, nothing half-made is, and the archive is the same."""
    cache = Path(data.env["REPRO_CACHE"])
    killed_at(data, count)
    kept = notes(cache)
    assert kept >= count and not data.archive.exists()
    again = data.repro("snapshot", "--no-self-test", "-o", str(data.archive), *COMMAND)
    said = re.search(r"layers .* (\d+) unchanged", again.stderr)
    assert int(said.group(1) if said else 0) == kept, again.stderr
    assert not half_packed(cache), "what the dead one left is cleared"
    with Archive.open(data.archive) as archive:
        archive.verify()
        mine = archive.version(None).config.diff_ids
    if count:
        return
    fresh = {**data.env, "REPRO_CACHE": str(tmp_path / "fresh")}
    data.repro("snapshot", "--no-self-test", "-o", str(tmp_path / "b"), *COMMAND, env=fresh)
    with Archive.open(tmp_path / "b") as archive:
        assert archive.version(None).config.diff_ids == mine


def test_another_project_uses_the_layers_of_the_first(lab: Lab, tmp_path: Path) -> None:
    command = ("--", sys.executable, "-I", "-S", "a.py")
    lab.env["REPRO_CACHE"] = str(tmp_path / "cache")
    lab.write("a.py", "open('out', 'w').write('1')\n")
    first = lab.repro("snapshot", "--no-self-test", "-o", str(lab.archive), *command)
    assert "unchanged" not in first.stderr
    (tmp_path / "elsewhere").mkdir()
    other = Lab(tmp_path / "elsewhere", Path(lab.env["REPRO_CACHE"]))
    other.write("a.py", "open('out', 'w').write('2')\n")
    said = other.repro("snapshot", "--no-self-test", "-o", str(other.archive), *command).stderr
    match = re.search(r"(\d+) layers .* (\d+) unchanged", said)
    assert match, said
    # All but the layer of the project's own files.
    assert int(match.group(2)) == int(match.group(1)) - 1, said
