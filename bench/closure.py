"""What a recording costs in memory, and how long it takes to know the packages behind it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from ground import Ground
from measure import Row, rounds, say

EVENTS = 1_000_000
_OPENS: Mapping[str, str] = {
    "one file": "os.close(os.open('in.txt', 0))",
    "distinct files": "os.close(os.open(f'/{root}/{number // 1000}/{number % 1000}', 0))",
    "distinct, not there": "missing(f'/{root}/none/{number}')",
    "distinct, made and removed": "made(f't{number}')",
}
_PROGRAM = """
import os
root = os.getcwd()[1:]
def missing(path):
    try:
        os.open(path, 0)
    except FileNotFoundError:
        pass
def made(path):
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    os.unlink(path)
for number in range({events}):
    {call}
"""
_MEMORY = """
import json, os, resource, sys
from repro.model.step import Step
from repro.observe.recorder import RecordRequest, record
cwd, scratch, code = json.loads(sys.argv[1])
argv = (sys.executable, "-ISc", code)
seen = record(RecordRequest(root=cwd, steps=(Step(name="s", argv=argv),),
              environment=dict(os.environ), scratch=scratch))
assert seen.steps[-1].exit == 0 and seen.tracer == "notify", seen.steps
files = sum(1 for access in seen.accesses if access.path.startswith(cwd))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
print(json.dumps([peak, files]))
"""
_CLOSURE = """
import json, os, sys, time
from repro.model.step import Step
from repro.observe.closure import close
from repro.observe.recorder import RecordRequest, record
from repro.pin.locker import sources
cwd, scratch, argv = json.loads(sys.argv[1])
seen = record(RecordRequest(root=cwd, steps=(Step(name="s", argv=tuple(argv)),),
              environment=dict(os.environ), scratch=scratch))
assert seen.steps[-1].exit == 0, seen.steps
start, busy = time.perf_counter(), time.process_time()
found = close(seen, root=cwd, home=os.environ["HOME"], indexes=sources(notes=None), outputs=())
print(json.dumps([time.perf_counter() - start, time.process_time() - busy, len(found.packages), len(found.files)]))
"""
_BOOK = {
    "cells": [
        {
            "cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "id": "a",
            "source": "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.savefig('a.png')",
        }
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "p", "language": "python"}},
    "nbformat": 4, "nbformat_minor": 5,
}  # fmt: skip


def closure(ground: Ground) -> Iterator[Row]:
    """The recorder's peak over a million opens; the closure of a notebook run by Jupyter."""
    root = ground.folder / "opens-many"
    _thousand_folders(root)
    peaks: dict[str, float | None] = {}
    notes = []
    for name, call in _OPENS.items():
        say(f"{EVENTS:,} opens: {name}")
        peak, files = _asked(ground, _MEMORY, root, _PROGRAM.format(events=EVENTS, call=call))
        peaks[name] = peak
        notes.append(f"{int(files):,} paths noted")
    yield Row(
        f"peak memory of the recorder, {EVENTS:,} opens", "< 200 MB", peaks, "; ".join(notes), "MB"
    )
    python = _jupyter(ground)
    book = ground.folder / "jupyter-book"
    book.mkdir()
    (book / "n.ipynb").write_text(json.dumps(_BOOK))
    argv = [python, "-m", "nbconvert", "--to", "notebook", "--execute", "--output", "o", "n.ipynb"]
    counts = ""

    def once() -> float:
        nonlocal counts
        seconds, busy, packages, files = _asked(ground, _CLOSURE, book, argv)
        counts = f"{int(packages)} packages, {int(files):,} files; processor time {busy:.2f} s"
        return seconds

    sides = rounds(ground.count, {"repro": once})
    yield Row("from accesses to packages: a notebook run by Jupyter", "< 1 s", sides, counts)


def _asked(ground: Ground, code: str, cwd: Path, what: str | list[str]) -> list[float]:
    with tempfile.TemporaryDirectory(dir=ground.folder) as scratch:
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps([str(cwd), scratch, what])],
            env=ground.env, cwd=cwd, capture_output=True, text=True,
        )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"recording ended with {done.returncode}:\n{done.stderr[-2000:]}")
    found: list[float] = json.loads(done.stdout)
    return found


def _thousand_folders(root: Path) -> None:
    """A million names of files: one folder of a thousand, and a thousand links to it."""
    (root / "0").mkdir(parents=True)
    (root / "in.txt").write_text("x")
    for number in range(1000):
        (root / f"0/{number}").write_text("x")
        if number:
            (root / str(number)).symlink_to("0")


def _jupyter(ground: Ground) -> str:
    say("installing Jupyter")
    folder = ground.folder / "jupyter"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = f"{folder}/bin/python"
    words = ["-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([python, *words, "jupyter", "pandas", "matplotlib"], check=True)
    return python
