"""Times, rounds and rows: what every group of figures is made with."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPRO = [str(Path(sys.executable).with_name("repro"))]
"""The installed script, as a user starts it."""
MARK = f"0.2{os.getpid():09d}"
"""How long the analysis of the start-up rows sleeps: nobody else sleeps as long."""


@dataclass(frozen=True)
class Row:
    """One line of the table: medians in ``unit``, and their ratio to the first side."""

    what: str
    aim: str
    sides: dict[str, float | None]
    note: str = ""
    unit: str = "s"


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def quiet(argv: list[str], cwd: Path, env: dict[str, str]) -> None:
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise SystemExit(f"{argv} ended with {done.returncode}:\n{done.stderr.decode()[-2000:]}")


def until_it_runs(argv: list[str], env: dict[str, str]) -> float:
    """Seconds until a program that sleeps for MARK seconds is seen running; then to its end.

    Seen from outside in /proc, in the same way for every side: at most some milliseconds late.
    """
    known = set(os.listdir("/proc"))
    started = time.perf_counter()
    running = subprocess.Popen(
        argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    seen = None
    while seen is None and running.poll() is None:
        for pid in filter(str.isdigit, set(os.listdir("/proc")) - known):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if words[:2] == [b"sleep", MARK.encode()]:
                    seen = time.perf_counter() - started
        time.sleep(0.001)
    said = running.communicate()[1]
    if seen is None or running.returncode != 0:
        raise SystemExit(f"{argv} ended with {running.returncode}:\n{said.decode()[-2000:]}")
    return seen


def rounds(count: int, sides: dict[str, Callable[[], float]]) -> dict[str, float | None]:
    """Medians over interleaved rounds; one round to warm up is not counted."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(count + 1):
        for name, call in sides.items():
            seconds = call()
            if number:
                found[name].append(seconds)
    return {name: statistics.median(values) for name, values in found.items()}


def say(text: str) -> None:
    print(f".. {text}", file=sys.stderr, flush=True)
