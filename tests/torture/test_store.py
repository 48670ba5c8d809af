"""P13 to P18, P26, P39: full disks, many at once, other people's caches, swapped files, odd hosts."""

from __future__ import annotations

import json
import os
import random
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from repro.primitives.files import walk
from tests.torture.test_crashes import digest
from tests.workflows.lab import Lab

pytestmark = pytest.mark.torture
Figure = Callable[[str], None]
OTHER = 54321
"""A user without a name."""


def repro(
    lab: Lab, *argv: str, before: Sequence[str] = (), env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, sys.executable, "-m", "repro", *argv], cwd=lab.project,
        env={**lab.env, **(env or {})}, capture_output=True, text=True, timeout=120,
        errors="surrogateescape", stdin=subprocess.DEVNULL,
    )  # fmt: skip


def clear_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that says what is wrong; there is no traceback."""
    assert "Traceback" not in done.stderr and "error[internal]" not in done.stderr, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error[")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def in_namespace(script: str) -> list[str]:
    """A shell in a mount namespace of its own (and a user namespace, but for root)."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    options = ["-m"] if os.geteuid() == 0 else ["-r", "-m"]
    probe = subprocess.run(["unshare", *options, "mount", "-t", "tmpfs", "none", "/mnt"],
                           capture_output=True, text=True)  # fmt: skip
    if probe.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {probe.stderr.strip()}")
    return ["unshare", *options, "sh", "-c", script + '; exec "$@"', "sh"]


def test_full_disks(
    shell_lab: Lab, tmp_path: Path, chance: random.Random, rounds: int, figure: Figure
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    older = disk.with_name("older.repro")
    shutil.copy(shell_lab.archive, older)
    need = 400 << 20
    counts: dict[str, int] = {}
    points = max(6, rounds * 5 // 2)
    for number in range(points):
        size = int(4096 * (need / 4096) ** ((number + chance.random()) / points))
        verb = "snapshot" if number % 2 else "verify"
        words = ["verify", "-q", str(older)] if verb == "verify" else [
            "snapshot", "-q", "-o", str(disk / "a.repro"), "--", "sh", "-c", "cat in.txt > out.txt",
        ]  # fmt: skip
        script = (
            f"mount -t tmpfs -o size={size} none {disk} && mkdir -m 700 {disk}/cache {disk}/tmp"
            if verb == "verify" else
            f"mount -t tmpfs -o size={size} none {disk} && mkdir -m 700 {disk}/cache {disk}/tmp"
        )  # fmt: skip
        check = f'"$@"; s=$?; ls -A {disk} > {tmp_path}/seen; exit $s'
        before = in_namespace(script)
        before[-2] = script + "; " + check
        env = {"REPRO_CACHE": str(disk / "cache"), "TMPDIR": str(disk / "tmp")}
        done = repro(shell_lab, *words, before=before, env=env)
        if done.returncode == 0:
            counts[f"{verb} went well"] = counts.get(f"{verb} went well", 0) + 1
            continue
        line = clear_line(done)
        assert done.returncode in (3, 5), done.stderr
        seen = set((tmp_path / "seen").read_text().split())
        assert seen <= {"cache", "tmp"}, "half an archive"
        kind = f"{verb} exit {done.returncode}"
        counts[kind] = counts.get(kind, 0) + 1
        assert len(line) <= 300
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    figure(f"P13 {points} sizes of disk from 4 kB to {need >> 20} MB: {told}; no half archive")
    assert sum(count for name, count in counts.items() if "exit" in name) >= points // 3


def test_many_at_once_while_the_cache_is_cleared(
    shell_lab: Lab, tmp_path: Path, rounds: int, figure: Figure
) -> None:
    env = {**shell_lab.env, "REPRO_CACHE": str(tmp_path / "cache")}
    wrong: list[str] = []
    longest, times = 0.0, max(1, rounds // 10)
    stop = threading.Event()
    cleared = 0

    def clear() -> None:
        nonlocal cleared
        while not stop.is_set():
            done = repro(shell_lab, "cache", "gc", env=env)
            cleared += 1
            if done.returncode != 0:
                wrong.append(done.stderr)

    collector = threading.Thread(target=clear)
    collector.start()
    try:
        for _ in range(times):
            started = time.monotonic()
            running = [
                subprocess.Popen(
                    [sys.executable, "-m", "repro", "verify", "--json", shell_lab.archive],
                    env=env,
                    cwd=shell_lab.project,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )  # fmt: skip
                for _ in range(16)
            ]
            for each in running:
                out, err = each.communicate(timeout=300)
                if each.returncode != 0 or not json.loads(out)["verdict"]:
                    wrong.append(err)
            longest = max(longest, time.monotonic() - started)
    finally:
        stop.set()
        collector.join()
    figure(f"P14 {times} rounds of 16 verifies at once, gc ran {cleared} times beside them: "
           f"{len(wrong)} wrong, slowest round {longest:.0f} s")  # fmt: skip
    assert not wrong, wrong[0]


def test_a_dead_process_holds_no_lock(shell_lab: Lab, tmp_path: Path, figure: Figure) -> None:
    env = {"REPRO_CACHE": str(tmp_path / "cache")}
    assert repro(shell_lab, "verify", "-q", str(shell_lab.archive), env=env).returncode == 0
    shutil.rmtree(tmp_path / "cache" / "layers")
    holder = "import fcntl,os,sys,time\nfor n in sys.argv[1:]: fcntl.flock(os.open(n,os.O_RDWR|os.O_CREAT,0o600),2)\nprint(1,flush=True);time.sleep(99)"
    (tmp_path / "cache" / "layers").mkdir(mode=0o700)
    said = json.loads(repro(shell_lab, "inspect", "--json", str(shell_lab.archive)).stdout)
    names = [str(tmp_path / "cache/layers" / f"{layer['diff_id'][7:]}.{kind}")
             for layer in said["layers"] for kind in ("make", "lock")]  # fmt: skip
    dead = subprocess.Popen([sys.executable, "-c", holder, *names], stdout=subprocess.PIPE)
    assert dead.stdout is not None and dead.stdout.readline()
    waiting = subprocess.Popen(
        [sys.executable, "-m", "repro", "verify", "-q", shell_lab.archive],
        env={**shell_lab.env, **env}, cwd=shell_lab.project,
    )  # fmt: skip
    time.sleep(2)
    assert waiting.poll() is None
    dead.kill()
    dead.wait()
    started = time.monotonic()
    assert waiting.wait(timeout=60) == 0
    took = time.monotonic() - started
    figure(f"P14 the lock of a killed process was taken over, verify ended {took:.1f} s later")


def cache_cases(folder: Path) -> dict[str, tuple[list[str], Path]]:
    """How a cache can be odd: commands in a namespace, the cache."""
    places = {name: folder / name for name in
              ("read-only", "file", "group-writable", "link", "foreign", "noexec", "missing")}  # fmt: skip
    for name in ("read-only", "group-writable", "noexec", "foreign"):
        places[name].mkdir(mode=0o700)
    places["file"].write_text("x")
    places["group-writable"].chmod(0o770)
    (folder / "target").mkdir(mode=0o700)
    places["link"].symlink_to(folder / "target")
    if os.geteuid() == 0:
        os.chown(places["foreign"], OTHER, OTHER)
    ro = f"mount -t tmpfs -o ro,mode=700 none {places['read-only']}"
    noexec = f"mount -t tmpfs -o noexec,nosuid,nodev,mode=700 none {places['noexec']}"
    return {
        "read-only": (in_namespace(ro), places["read-only"]),
        "no execution": (in_namespace(noexec), places["noexec"]),
        "a file": ([], places["file"]),
        "writable by a group": ([], places["group-writable"]),
        "a link to a folder of one's own": ([], places["link"]),
        **({"of another user": ([], places["foreign"])} if os.geteuid() == 0 else {}),
        "below a file": ([], places["file"] / "cache"),
        "with blanks and bytes": ([], folder / "a b\udcff\n" / "c"),
        "of a long name": ([], folder.joinpath(*["x" * 100] * 12)),
    }


def test_odd_caches(shell_lab: Lab, tmp_path: Path, figure: Figure) -> None:
    told = []
    for name, (before, place) in cache_cases(tmp_path).items():
        done = repro(shell_lab, "verify", "-q", str(shell_lab.archive), before=before,
                     env={"REPRO_CACHE": str(place)})  # fmt: skip
        if done.returncode == 0:
            told.append(f"{name}: works")
        else:
            line = clear_line(done)
            assert done.returncode in (3, 6), done.stderr
            told.append(f"{name}: {line.split(': ', 1)[-1][-40:]}")
    figure("P15 caches: " + "; ".join(told).encode("ascii", "backslashreplace").decode())
    text = " ".join(told)
    assert "writable by a group: works" not in text and "of another user: works" not in text
    assert "a link to a folder of one's own: works" in text


def test_poisoned_layers_are_never_judged_with(
    shell_lab: Lab, tmp_path: Path, chance: random.Random, rounds: int, figure: Figure
) -> None:
    env = {"REPRO_CACHE": str(tmp_path / "cache")}
    assert repro(shell_lab, "verify", "-q", str(shell_lab.archive), env=env).returncode == 0
    found = 0
    for number in range(rounds):
        files = [path for path, s in walk(str(tmp_path / "cache/layers"))
                 if stat.S_ISREG(s.st_mode) and s.st_size and "/" in path]  # fmt: skip
        victim = tmp_path / "cache" / "layers" / chance.choice(files)
        data = bytearray(victim.read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        victim.write_bytes(data)
        if number % 2:
            document = json.loads(repro(shell_lab, "cache", "check", "--json", env=env).stdout)
            found += len(document["damaged"]) == 1
        else:
            refused = repro(shell_lab, "verify", "-q", str(shell_lab.archive), env=env)
            found += refused.returncode == 3 and "cache-changed" in refused.stderr
        done = repro(shell_lab, "verify", "-q", str(shell_lab.archive), env=env)
        assert done.returncode == 0, done.stderr
    figure(f"P16 {rounds} bits flipped in unpacked layers: {found} found, in turn by a verify and "
           "by `repro cache check`; the next verify right")  # fmt: skip
    assert found == rounds


def test_files_swapped_while_they_are_read(
    shell_lab: Lab, tmp_path: Path, rounds: int, figure: Figure
) -> None:
    target = tmp_path / "a.repro"
    shutil.copy(shell_lab.archive, target)
    (tmp_path / "outside").write_text("untouched")
    env = {"REPRO_CACHE": str(tmp_path / "cache")}
    stop, swaps = threading.Event(), 0

    def swap() -> None:
        nonlocal swaps
        while not stop.is_set():
            for make in (
                lambda p: p.symlink_to(tmp_path / "outside"),
                lambda p: p.symlink_to(tmp_path / "cache"),
                lambda p: os.link(shell_lab.archive, p),
            ):
                beside = tmp_path / "swap"
                beside.unlink(missing_ok=True)
                make(beside)
                os.replace(beside, target)
                swaps += 1
                time.sleep(0.001)

    thread = threading.Thread(target=swap)
    thread.start()
    right = refused = 0
    try:
        for _ in range(max(4, rounds // 2)):
            done = repro(shell_lab, "verify", "-q", str(target), env=env)
            if done.returncode == 0:
                right += 1
            else:
                assert done.returncode in (2, 4), done.stderr
                clear_line(done)
                refused += 1
    finally:
        stop.set()
        thread.join()
    assert (tmp_path / "outside").read_text() == "untouched"
    figure(f"P17 {right + refused} verifies while the archive was replaced {swaps} times: {right} "
           f"verified the bytes they had opened, {refused} refused what was no archive")  # fmt: skip


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777], ids=oct)
def test_umasks(mask: int, shell_lab: Lab, tmp_path: Path, figure: Figure) -> None:
    env = {"REPRO_CACHE": str(tmp_path / "cache")}
    target = tmp_path / "a.repro"
    words = ["snapshot", "-q", "-o", str(target), "--", "sh", "-c", "cat in.txt > out.txt"]
    before = ["sh", "-c", f'umask {mask:o}; exec "$@"', "sh"]
    done = repro(shell_lab, *words, before=before, env=env)
    if mask == 0o777:
        # Not even one's own files can be read then.
        assert done.returncode in (0, 3, 5, 6)
        assert "Traceback" not in done.stderr
        figure(f"P18 umask 777: snapshot ends with {done.returncode}")
        return
    assert done.returncode == 0, done.stderr
    done = repro(shell_lab, "verify", "-q", str(target), before=before, env=env)
    assert done.returncode == 0, done.stderr
    bad = [path for path, s in walk(str(tmp_path / "cache"))
           if not stat.S_ISLNK(s.st_mode) and s.st_mode & 0o6022]  # fmt: skip
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700
    assert not target.stat().st_mode & 0o6022
    figure(f"P18 umask {mask:03o}: {len(bad)} files or folders that others can write")
    assert not bad


def test_a_run_leaves_nothing_for_the_next(shell_lab: Lab, tmp_path: Path, figure: Figure) -> None:
    env = {"REPRO_CACHE": str(tmp_path / "cache")}
    mark = (
        "for d in / /tmp /var/tmp /dev/shm /run /usr/bin /etc $PWD $HOME; do touch $d/marker; done"
    )
    ask = "find / -xdev -name marker; ls /tmp /dev/shm"
    done = repro(shell_lab, "run", "-q", str(shell_lab.archive), "--", "sh", "-c", mark, env=env)
    layers = {p: d for p, d in _hashes(tmp_path / "cache" / "layers")}
    done = repro(shell_lab, "run", "-q", str(shell_lab.archive), "--", "sh", "-c", ask, env=env)
    assert "marker" not in done.stdout
    assert {p: d for p, d in _hashes(tmp_path / "cache" / "layers")} == layers
    figure(f"P26 two runs: the second sees no mark of the first, {len(layers)} files unchanged")


def _hashes(folder: Path) -> list[tuple[str, str]]:
    return [(path, digest(folder / path)) for path, status in walk(str(folder))
            if stat.S_ISREG(status.st_mode) and not path.endswith((".ok", ".lock", ".size"))]  # fmt: skip


HOSTS = {
    "64 open files": ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh"],
    "no core, small stack": ["sh", "-c", 'ulimit -c 0; ulimit -s 1024; exec "$@"', "sh"],
    "the C locale": ["env", "LC_ALL=C", "LANG=C"],
    "an odd locale": ["env", "LC_ALL=xx_YY.nothing"],
    "no HOME": ["env", "-u", "HOME"],
    "a HOME that is not there": ["env", "HOME=/nonexistent"],
    "no PATH": ["env", "-u", "PATH"],
    "a PATH of the project": ["env", "PATH=."],
    "a clock at 1970": ["env", "SOURCE_DATE_EPOCH=0"],
    "a clock at 2100": ["env", "SOURCE_DATE_EPOCH=4102444800"],
    "a terminal of nothing": ["env", "TERM=dumb", "NO_COLOR=1", "COLUMNS=1"],
    "Python's own settings": [
        "env",
        "PYTHONSTARTUP=/etc/passwd",
        "PYTHONINSPECT=",
        "PYTHONOPTIMIZE=2",
    ],
}


def test_odd_hosts(shell_lab: Lab, tmp_path: Path, figure: Figure) -> None:
    told = []
    for name, before in HOSTS.items():
        env = {"REPRO_CACHE": str(tmp_path / "cache")}
        done = repro(shell_lab, "verify", "-q", str(shell_lab.archive), before=before, env=env)
        if done.returncode == 0:
            told.append(name)
        else:
            told.append(f"{name} (no: {clear_line(done)[:60]})")
            assert done.returncode in (3, 6)
    figure(f"P39 hosts: {len(HOSTS)} of {len(HOSTS)} work or say why: {'; '.join(told)}")


def test_a_user_without_a_name(shell_lab: Lab, figure: Figure) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv")
    top = Path("/var/tmp") / f"repro-torture-{os.getpid()}"
    top.mkdir(mode=0o755)
    try:
        shutil.copy(shell_lab.archive, top / "a.repro")
        os.chmod(top / "a.repro", 0o644)
        home = top / "home"
        home.mkdir(mode=0o700)
        os.chown(home, OTHER, OTHER)
        before = ["setpriv", "--reuid", str(OTHER), "--regid", str(OTHER), "--clear-groups"]
        lab = shell_lab
        done = subprocess.run(
            [*before, sys.executable, "-m", "repro", "verify", "-q", str(top / "a.repro")], cwd=top,
            env={**os.environ, "HOME": str(home), "REPRO_CACHE": str(home / "cache"),
                 "TMPDIR": str(home)}, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if "Permission denied" in done.stderr and "python" in done.stderr:
            pytest.skip("that user cannot read this checkout")
        assert lab.archive.exists()
        figure(f"P39 a user without a name: verify ends with {done.returncode}")
        assert done.returncode in (0, 6), done.stderr
    finally:
        shutil.rmtree(top)
