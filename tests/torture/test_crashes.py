"""P10, P11, P12, P24: killed at any moment, nothing is half-written, locked, left or lost."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.store.archive import Archive
from tests.torture.conftest import marked
from tests.workflows.lab import Lab

pytestmark = pytest.mark.torture
LEFT_OVER = 1 << 20
Figure = Callable[[str], None]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "none"


def killed(lab: Lab, argv: list[str], after: float, env: dict[str, str], number: int) -> bool:
    """Start a command, end its whole session after some seconds; whether it still ran."""
    running = subprocess.Popen(
        [sys.executable, "-m", "repro", *argv], cwd=lab.project, env={**lab.env, **env},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        running.wait(timeout=after)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, number)
        running.wait(timeout=60)
        return True


def timed(lab: Lab, *argv: str, env: dict[str, str] | None = None) -> float:
    started = time.monotonic()
    lab.repro(*argv, env=env)
    return time.monotonic() - started


def weight(folder: Path) -> int:
    """Bytes on disk below a folder."""
    done = subprocess.run(["du", "-s", "-B1", folder], capture_output=True, text=True)
    return int(done.stdout.split()[0])


def check_store(lab: Lab, env: dict[str, str]) -> None:
    """No layer of the cache that is said to be whole is damaged."""
    found = json.loads(lab.repro("cache", "check", "--json", env=env).stdout)
    assert found["damaged"] == []


def fresh(lab: Lab, folder: Path, name: str) -> dict[str, str]:
    (folder / name).mkdir()
    return {"REPRO_CACHE": str(folder / name / "cache"), "TMPDIR": str(folder / name)}


def test_snapshot_killed_at_any_moment(
    shell_lab: Lab, tmp_path: Path, chance: random.Random, rounds: int, figure: Figure,
    nothing_left: str,
) -> None:  # fmt: skip
    lab, target = shell_lab, tmp_path / "t.repro"
    env = {**fresh(lab, tmp_path, "tmp"), nothing_left: "1"}
    words = ["snapshot", "-q", "-o", str(target), "--", "sh", "-c", "cat in.txt > out.txt"]
    length = timed(lab, *words, env=env)
    hit = changed = 0
    for number in range(rounds):
        lab.write("in.txt", f"{number} {number}\n")
        before = digest(target)
        shutil.rmtree(tmp_path / "tmp" / "cache" / "layers", ignore_errors=True)
        hit += killed(lab, words, chance.uniform(0, 1.1 * length), env, signal.SIGKILL)
        if digest(target) != before:
            changed += 1
            with Archive.open(target) as archive:
                archive.verify()
    lab.repro(*words, env=env)
    with Archive.open(target) as archive:
        archive.verify()
    check_store(lab, env)
    lab.repro("cache", "gc", env=env)
    beside = [path for path in tmp_path.iterdir() if path.name not in ("t.repro", "tmp")]
    left = weight(tmp_path / "tmp" / "cache" / "layers")
    runs = [p.name for n in ("runs", "staging") for p in (tmp_path / "tmp/cache" / n).glob("*")]
    figure(f"P10 snapshot: killed at {hit} of {rounds} moments of {length:.1f} s, {changed} times "
           f"complete already; 0 partial archives; {left} bytes of layers and {len(runs)} scratch "
           f"folders left after gc; beside the archive: {len(beside)}")  # fmt: skip
    assert not beside and not runs
    assert left < LEFT_OVER
    assert hit >= rounds // 3


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_verify_killed_at_any_moment(
    warm: bool, shell_lab: Lab, tmp_path: Path, chance: random.Random, rounds: int,
    figure: Figure, nothing_left: str,
) -> None:  # fmt: skip
    lab = shell_lab
    env = {**fresh(lab, tmp_path, "tmp"), nothing_left: "1"}
    before = digest(lab.archive)
    cold = timed(lab, "verify", "-q", str(lab.archive), env=env)
    length = timed(lab, "verify", "-q", str(lab.archive), env=env) if warm else cold
    hit = 0
    for _ in range(rounds):
        if not warm:
            lab.repro("cache", "gc", env=env)
        after = chance.uniform(0, 1.1 * length)
        hit += killed(lab, ["verify", "-q", str(lab.archive)], after, env, signal.SIGKILL)
        check_store(lab, env)
    lab.repro("verify", "-q", str(lab.archive), env=env)
    assert digest(lab.archive) == before
    runs = list((tmp_path / "tmp" / "cache" / "runs").glob("*"))
    half = list((tmp_path / "tmp" / "cache" / "layers").glob(".unpack-*"))
    lab.repro("cache", "gc", env=env)
    half_after = list((tmp_path / "tmp" / "cache" / "layers").glob(".unpack-*"))
    figure(f"P11 verify ({'warm' if warm else 'cold'}): killed at {hit} of {rounds} moments of "
           f"{length:.1f} s; 0 bad layers; {len(runs)} scratch folders after the next run; "
           f"{len(half)} half-unpacked layers, {len(half_after)} after gc")  # fmt: skip
    assert not runs and not half_after
    assert hit >= rounds // 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_stays_behind(
    number: signal.Signals, tmp_path: Path, shell_lab: Lab, chance: random.Random, rounds: int,
    figure: Figure, nothing_left: str,
) -> None:  # fmt: skip
    """A run that would go on for minutes, with children of its own, ended from outside."""
    lab = Lab(tmp_path, Path(shell_lab.env["REPRO_CACHE"]))
    nap = str(300_000 + chance.randrange(100_000))
    target = tmp_path / "long.repro"
    script = f"test -e go && (setsid sleep {nap} & sleep {nap} & wait); echo 1 > out.txt; true"
    lab.repro("snapshot", "-q", "-o", str(target), "--", "sh", "-c", script)
    env = {**fresh(lab, tmp_path, "tmp"), nothing_left: "1"}
    count = max(3, rounds // 4)
    for _ in range(count):
        words = ["run", "-q", str(target), "--", "sh", "-c", f"setsid sleep {nap} & sleep {nap}"]
        assert killed(lab, words, chance.uniform(0.8, 1.6), env, number)
        deadline = time.monotonic() + 2
        while marked(nap) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not marked(nap)
    lab.repro("verify", "-q", str(target), env=env)
    runs = list((tmp_path / "tmp" / "cache" / "runs").glob("*"))
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    figure(f"P24 {number.name}: {count} runs ended, 0 processes after 2 s, 0 mounts, "
           f"{len(runs)} scratch folders after the next run")  # fmt: skip
    assert not runs


def test_an_archive_is_published_in_order(shell_lab: Lab, tmp_path: Path, figure: Figure) -> None:
    """write, fsync of the file, rename, fsync of the folder (P12)."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    target, trace = tmp_path / "t.repro", tmp_path / "trace"
    env = {**shell_lab.env, **fresh(shell_lab, tmp_path, "tmp")}
    calls = "trace=fsync,fdatasync,rename,renameat,renameat2"
    subprocess.run(
        [strace, "-f", "-y", "-qq", "-e", calls, "-o", trace, sys.executable, "-m", "repro",
         "snapshot", "-q", "--no-self-test", "-o", target, "--", "sh", "-c", "cat in.txt > out.txt"],
        cwd=shell_lab.project, env=env, check=True, capture_output=True,
    )  # fmt: skip
    lines = [line for line in trace.read_text().splitlines() if "resumed" not in line]
    renames = [n for n, line in enumerate(lines) if re.search(rf'rename.*"{target}"', line)]
    assert len(renames) == 1
    source = re.search(r'"([^"]+\.tmp)"', lines[renames[0]])
    assert source is not None
    synced = [n for n, line in enumerate(lines) if "fsync" in line and source.group(1) in line]
    folder = [n for n, line in enumerate(lines) if re.search(rf"fsync\(\d+<{tmp_path}>", line)]
    assert synced and synced[-1] < renames[0] < folder[-1]
    figure("P12 one publish: fsync of the file, rename, fsync of the folder, in that order; "
           "no replay of a power loss was made")  # fmt: skip
