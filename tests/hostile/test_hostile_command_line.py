"""A sample of the table as a person meets it: a real snapshot, mutated, and the real commands.

Exit 4, one short line on stderr, no traceback, no process of an engine or of the image (seen
by strace), nothing new outside the cache and the named folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from repro.primitives.tarformat import END
from tests.hostile.cases_image import versions
from tests.hostile.cases_json import DEEP, WIDE, lock
from tests.hostile.cases_recording import sealed
from tests.hostile.parts import (
    INDEX,
    USIZE,
    Change,
    Parts,
    claims,
    config,
    edit,
    image,
    layer,
    raw_blob,
    replace,
    reports,
    set_key,
)
from tests.hostile.tarbits import link, member
from tests.workflows.lab import Lab, need_an_engine

SAMPLE: dict[str, tuple[Change, str, str]] = {
    "a layer with a way out": (
        layer(link(b"a", b"/tmp") + member(b"a/evil\x1b[2J\n", b"x") + END, number=-1),
        r"member 'a/evil\x1b[2J\x0a' lies below", "verify extract",
    ),
    "a bomb that lies": (
        layer(member(b"z", bytes(80 << 20)) + END, number=-1, size=4096), "unpacks to more than",
        "verify extract",
    ),
    "a bomb that says so": (
        lambda p: p.edit(p.image, set_key("layers", 0, "annotations", USIZE, to=str(99 << 30))),
        "says to unpack from", "inspect verify extract",
    ),
    "a changed layer": (
        lambda p: raw_blob(lambda q: q.layer(-1), bytes(len(p.members[p.layer(-1)])))(p),
        "does not match its digest", "verify extract",
    ),
    "deep JSON": (replace(INDEX, DEEP), "nested more than 64 deep", "inspect verify extract"),
    "wide JSON": (replace(claims, WIDE), "claims has more than", "inspect verify extract"),
    "many manifests": (versions(20), "bytes of manifests", "inspect verify extract"),
    "a step outside": (sealed("steps", 0, "cwd", to="../.."), "outside the project", "inspect verify"),
    "a variable cut by zero": (
        sealed("environment", "A", to="b\0LD_PRELOAD=x"), "no environment", "inspect verify",
    ),
    "escapes as a key": (
        edit(config, set_key("config", "Labels", "\x1b[2J\n", to=1)), r"\x1b[2J\x0a", "inspect",
    ),
    "a lock of nothing": (replace(lock, b"[]"), "lock is not an object", "inspect verify"),
    "results of nothing": (replace(reports, zstandard.compress(END)), "is missing", "verify"),
    "a manifest of nothing": (replace(image, b"{}"), "manifest", "inspect verify extract"),
}  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    need_an_engine()
    folder = tmp_path_factory.mktemp("real")
    lab = Lab(folder, folder / "cache")
    lab.write("in.txt", "1 2\n")
    lab.snapshot("--", "sh", "-c", "cat in.txt > out.txt")
    return lab


def outside(folder: Path) -> set[str]:
    """What is newer than the archive anywhere below, but for cache and target."""
    done = subprocess.run(
        ["find", folder, "(", "-name", "cache", "-o", "-name", "into", ")", "-prune", "-o",
         "-newer", folder / "bad.repro", "-print"], capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split("\n")) - {""}


def call(lab: Lab, command: str, folder: Path) -> tuple[subprocess.CompletedProcess[str], str]:
    """A command under strace; what it executed."""
    trace = folder / "cache" / "trace"
    trace.parent.mkdir(mode=0o700, exist_ok=True)
    strace = shutil.which("strace") if command == "verify" else None
    follow = [strace, "-f", "-qq", "-e", "trace=execve", "-o", str(trace)] if strace else []
    words = [command, str(folder / "bad.repro"), *([str(folder / "into")] * (command == "extract"))]
    done = subprocess.run(
        [*follow, sys.executable, "-m", "repro", *words], cwd=lab.project, timeout=60,
        env={**lab.env, "REPRO_CACHE": str(folder / "cache")}, capture_output=True, text=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done, trace.read_text() if strace else ""


QUICK = ("a layer with a way out", "a bomb that says so", "a step outside")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in SAMPLE],
)
def test_a_sample_by_the_real_commands(name: str, lab: Lab, tmp_path: Path) -> None:
    change, says, commands = SAMPLE[name]
    parts = Parts(lab.archive)
    change(parts)
    parts.write(tmp_path / "bad.repro")
    os.utime(tmp_path)
    for command in commands.split():
        done, executed = call(lab, command, tmp_path)
        assert done.returncode == 4, done.stderr
        first = next(line for line in done.stderr.splitlines() if line.startswith("error["))
        assert says in first and len(first) <= 200 and first.isprintable()
        assert "Traceback" not in done.stderr and "\x1b" not in done.stderr + done.stdout
        assert done.stdout == ""
        # Nothing but the command itself: choosing an engine runs its launcher at most.
        assert "in.txt" not in executed and '"sh", "-c"' not in executed
    assert outside(tmp_path) <= {str(tmp_path)}
