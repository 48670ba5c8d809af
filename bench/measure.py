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
from typing import IO

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
    Only what was started meanwhile is looked at: listing all of /proc takes a processor from
    those who are measured.
    """
    with open("/proc/loadavg", "rb", 0) as loads:
        newest = _newest(loads)
        young: dict[int, int] = {}
        started = time.perf_counter()
        running = subprocess.Popen(
            argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        seen = None
        while seen is None and running.poll() is None:
            last = _newest(loads)
            young.update(dict.fromkeys(range(newest + 1, last + 1), 0))
            newest = last
            for pid in tuple(young):
                try:
                    with open(f"/proc/{pid}/cmdline", "rb", 0) as stream:
                        words = stream.read(200).split(b"\0")
                except OSError:
                    # Not there yet, or gone: numbers are given before /proc shows them.
                    young[pid] += 1
                    if young[pid] > 50:
                        del young[pid]
                    continue
                if words[:2] == [b"sleep", MARK.encode()]:
                    seen = time.perf_counter() - started
            time.sleep(0.001)
    said = running.communicate()[1]
    if seen is None or running.returncode != 0:
        raise SystemExit(f"{argv} ended with {running.returncode}:\n{said.decode()[-2000:]}")
    return seen


def _newest(loads: IO[bytes]) -> int:
    """The number given last (proc_loadavg(5))."""
    return int(os.pread(loads.fileno(), 100, 0).split()[-1])


@dataclass(frozen=True)
class Seen:
    """What ``watched`` saw: seconds until the analysis began, bytes of memory around it."""

    start: float
    memory: int


def watched(argv: list[str], env: dict[str, str], cwd: Path, memory: Callable[[int], int]) -> Seen:
    """Run a command whose analysis prints BEGUN; ``memory`` of its process, then to its end."""
    started = time.perf_counter()
    running = subprocess.Popen(
        argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert running.stdout is not None
    said = b""
    while BEGUN.encode() not in said:
        piece = os.read(running.stdout.fileno(), 65536)
        if not piece:
            raise SystemExit(f"{argv} did not begin: {running.communicate()}")
        said += piece
    seconds = time.perf_counter() - started
    found = memory(running.pid)
    if running.wait() != 0:
        raise SystemExit(f"{argv} ended with {running.returncode}: {running.communicate()}")
    running.communicate()
    return Seen(start=seconds, memory=found)


BEGUN = "the-analysis-has-begun"
NAP = "1.5"
"""Seconds that the analysis of ``watched`` sleeps: long enough to look at the memory."""
ANALYSIS = f"echo {BEGUN}; echo 1 > out; exec sleep {NAP}"


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found, waiting = [], [pid]
    while waiting:
        each = waiting.pop()
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{each}/task"):
                children = Path(f"/proc/{each}/task/{task}/children").read_text().split()
                waiting += [int(child) for child in children]
            found.append(each)
    return found


def share(pid: int) -> int:
    """A process's memory in bytes, what it shares counted in parts (Pss of smaps_rollup)."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def around(pid: int) -> int:
    """Memory of a command and all below it, the sleeping analysis left out."""
    named = {each: Path(f"/proc/{each}/comm").read_text().strip() for each in tree(pid)}
    return sum(share(each) for each, name in named.items() if name not in ("sleep", "sh"))


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
