"""Cache, project and archive on FUSE disks: it works, or it is said plainly what does not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.other_user import open_folder
from tests.real.test_examples import unavailable
from tests.workflows.lab import Lab, need_an_engine

pytestmark = pytest.mark.real
SFTP = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server")


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        unavailable(f"{name} is not installed")
    assert found is not None
    return found


def bindfs(source: Path, point: Path) -> list[str]:
    """What ext4 can, behind a daemon."""
    return [tool("bindfs"), str(source), str(point)]


def sshfs(source: Path, point: Path) -> list[str]:
    """As NFS can be: no hard links, no special files, seconds as times, none for symlinks."""
    server = next(filter(os.path.exists, SFTP), None)
    if server is None:
        unavailable("there is no sftp-server")
    program = point.parent / "ssh"
    program.write_text(f"#!/bin/sh\nexec {server}\n")
    program.chmod(0o755)
    words = ["-o", f"ssh_command={program}", "-o", "disable_hardlink"]
    return [tool("sshfs"), *words, f"host:{source}", str(point)]


MOUNTS = {"bindfs": bindfs, "sshfs": sshfs}


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A mounted FUSE disk of the kind that the test names."""
    need_an_engine()
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("this user has no /dev/fuse")
    with open_folder() as top:
        source, point = top / "source", top / "point"
        source.mkdir()
        point.mkdir()
        done = subprocess.run(MOUNTS[request.param](source, point), capture_output=True, text=True)
        if done.returncode != 0:
            unavailable(f"{request.param}: {done.stderr[-300:]}")
        try:
            yield point
        finally:
            subprocess.run([tool("fusermount3"), "-u", str(point)], check=True)


def lab_in(folder: Path, cache: Path) -> Lab:
    folder.mkdir(exist_ok=True)
    lab = Lab(folder, cache)
    lab.write("run.sh", "mkdir -p out; cat in.txt > out/r.txt; date +%Y >> out/r.txt")
    lab.write("in.txt", "hello\n")
    return lab


@pytest.mark.parametrize("disk", sorted(MOUNTS), indirect=True)
def test_a_project_there(disk: Path, tmp_path: Path) -> None:
    lab = lab_in(disk / "home", tmp_path / "cache")
    lab.snapshot("--", "sh", "run.sh")
    assert not (lab.project / "out").exists(), "the folder stays as it was"
    lab.repro("verify", "-q", "--require", "identical", str(lab.archive))
    lab.repro("snapshot", "-q", "--write-back", "--tag", "v2", "-o", str(lab.archive), "--",
              "sh", "run.sh")  # fmt: skip
    assert (lab.project / "out/r.txt").read_text().startswith("hello\n")


@pytest.mark.parametrize("disk", ["bindfs"], indirect=True)
def test_a_cache_there(disk: Path, tmp_path: Path) -> None:
    lab = lab_in(tmp_path / "home", disk / "cache")
    lab.env["TMPDIR"] = str(tmp_path)
    lab.snapshot("--", "sh", "run.sh")
    for _ in ("unpacked", "used again"):
        lab.repro("verify", "-q", "--require", "identical", str(lab.archive))
    lab.repro("run", "-q", "--out", "mine", str(lab.archive))
    assert (lab.project / "mine/out/r.txt").exists()
    assert "whole" in lab.repro("cache", "check").stdout
    assert not list((tmp_path / f"repro-runs-{os.geteuid()}").iterdir())
    checks = json.loads(lab.repro("doctor", "--json").stdout)["checks"]
    said = next(check for check in checks if check["name"] == "cache")
    assert said["ok"] and "fuse" in said["text"] and "repro-runs" in said["text"]
    refused = lab.repro("container", "create", str(lab.archive), "--name", "x", status=3).stderr
    assert "holds no writable layer" in refused and "hint: set REPRO_CACHE" in refused


@pytest.mark.parametrize("disk", ["sshfs"], indirect=True)
def test_a_cache_on_what_cannot_hold_an_image(disk: Path, tmp_path: Path) -> None:
    lab = lab_in(tmp_path / "home", tmp_path / "cache")
    lab.snapshot("--", "sh", "run.sh")
    there = {"REPRO_CACHE": str(disk / "cache")}
    refused = lab.repro("verify", "-q", str(lab.archive), status=3, env=there).stderr
    assert "cannot be unpacked" in refused and "ext4, xfs or btrfs" in refused
