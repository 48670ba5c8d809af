"""How time and memory grow with bytes and with files: seconds per unit, and the peak."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from ground import Ground
from measure import REPRO, Row, say

MEGABYTES = (100, 1000)
FILES = (1_000, 10_000, 100_000)
_LARGE = {"bytes": (10_000,), "files": (1_000_000,)}
"""Measured as well with REPRO_BENCH_LARGE=1: half an hour on two free processors, 35 GB of disk."""


def growth(ground: Ground) -> Iterator[Row]:
    """Snapshot without the self-test, then inspect and verify into an empty cache; each once."""
    large = bool(os.environ.get("REPRO_BENCH_LARGE"))
    yield from _rows(ground, "MB", (*MEGABYTES, *(_LARGE["bytes"] if large else ())))
    yield from _rows(ground, "files", (*FILES, *(_LARGE["files"] if large else ())))


def _rows(ground: Ground, unit: str, counts: tuple[int, ...]) -> Iterator[Row]:
    verbs = ("snapshot", "inspect", "verify")
    found: dict[str, dict[str, float | None]] = {verb: {} for verb in verbs}
    peaks: dict[str, list[str]] = {verb: [] for verb in verbs}
    for count in counts:
        say(f"{count} {unit}")
        root = ground.folder / "grown"
        root.mkdir()
        (_one_file if unit == "MB" else _many_files)(root, count)
        for verb, (seconds, peak) in _measured(ground, root).items():
            found[verb][f"{count:,} {unit}"] = seconds
            peaks[verb].append(f"{peak} MB")
        shutil.rmtree(root)
    for verb in verbs:
        aim = "constant" if verb == "inspect" else "as the first or less, per unit"
        per = " · ".join(
            f"{1000 * float(seconds or 0) / count:.2f} ms"
            for count, seconds in zip(counts, found[verb].values(), strict=True)
        )
        note = f"peak memory {' · '.join(peaks[verb])}"
        if verb != "inspect":
            note = f"per {'MB' if unit == 'MB' else 'file'} {per}; {note}"
        yield Row(f"{verb}, growing {unit}", aim, found[verb], note)


def _measured(ground: Ground, root: Path) -> Mapping[str, tuple[float, int]]:
    cache, archive = ground.folder / "grown-cache", ground.folder / "grown.repro"
    shutil.rmtree(cache, ignore_errors=True)
    env = {**ground.env, "REPRO_CACHE": str(cache)}
    script = "find data -type f -exec cat {} + | wc -c > out"
    take = ["snapshot", "-q", "--no-self-test", "-o", str(archive), "--", "sh", "-c", script]
    found = {
        "snapshot": _run([*REPRO, *take], root, env),
        "inspect": _run([*REPRO, "inspect", str(archive)], root, env),
        "verify": _run([*REPRO, "verify", "-q", str(archive)], root, env),
    }
    shutil.rmtree(cache)
    archive.unlink()
    return found


_METER = """
import resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"""


def _run(argv: list[str], cwd: Path, env: Mapping[str, str]) -> tuple[float, int]:
    """Seconds, and the peak memory (MB) of the largest process among them."""
    done = subprocess.run(
        [sys.executable, "-c", _METER, *argv], cwd=cwd, env=env, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise SystemExit(f"{argv} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    seconds, peak = done.stdout.split()
    return float(seconds), int(peak) // 1024


def _one_file(root: Path, megabytes: int) -> None:
    """Half noise, half text: it shrinks to about half, as measurements do."""
    (root / "data").mkdir()
    noise = random.Random(1)
    with (root / "data/table.bin").open("wb") as stream:
        for _ in range(megabytes):
            stream.write(noise.randbytes(500_000) + b"%09d\n" % noise.randrange(10**9) * 50_000)


def _many_files(root: Path, count: int) -> None:
    """A kilobyte each, a thousand in a folder."""
    noise = random.Random(1)
    for number in range(count):
        if number % 1000 == 0:
            (root / f"data/{number // 1000}").mkdir(parents=True)
        (root / f"data/{number // 1000}/{number}.txt").write_bytes(noise.randbytes(500) * 2)
