"""What recording costs, beside the bare run, ReproZip and strace."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ground import Ground
from measure import ROOT, Row, quiet, rounds, timed

_STORM = "i=0; while [ $i -lt 500 ]; do echo $i | /bin/cat > out; /bin/true; i=$((i+1)); done"
_C = """#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int f%d(int x) { char b[64]; snprintf(b, 64, "%%d", x); return (int)(strlen(b) + sin(x)); }
"""
_MAKEFILE = """OBJECTS := $(patsubst %.c,%.o,$(wildcard *.c))
all: $(OBJECTS)
%.o: %.c
\tgcc -c -O1 $< -o $@
"""
_OPENS = """
total = 0
for i in range(20000):
    with open(f"data/{i // 200}/{i}", "rb") as stream:
        total += int(stream.read())
assert total == 199990000
"""
_CPU = "x = 0\nfor i in range(20_000_000):\n    x = (x * 31 + i) % 1000003\nprint(x)\n"
_POOL = """
import multiprocessing

def work(n):
    x = 0
    for i in range(200_000):
        x = (x * 31 + i + n) % 1000003
    return x

if __name__ == "__main__":
    with multiprocessing.Pool(8) as pool:
        print(sum(pool.map(work, range(64))))
"""


def recording(ground: Ground) -> Iterator[Row]:
    """The workloads of observe.md: notebook, R, make, a storm of processes, opens, pure work."""
    python = str(ground.python)
    book = ground.folder / "book"
    shutil.copytree(ROOT / "examples/notebook", book)
    (book / ".repro").mkdir()
    shutil.copy(ROOT / "templates/notebook_runner.py", book / ".repro/notebook.py")
    notebook = [python, ".repro/notebook.py", "paper.ipynb"]
    yield _recorded(ground, "recording a pandas/matplotlib notebook", "<= 1.05", book, notebook)
    if shutil.which("Rscript"):
        lm = ground.folder / "r-lm"
        shutil.copytree(ROOT / "examples/r-lm", lm)
        command = ["/usr/bin/Rscript", "analysis.R"]
        yield _recorded(ground, "recording an R script", "<= 1.05", lm, command)
    storm = _folder(ground, "storm")
    yield _recorded(ground, "recording 1,000 processes of a shell", "<= 1.5", storm,
                    ["/bin/sh", "-c", _STORM])  # fmt: skip
    yield _recorded(ground, "recording make with 60 compilations", "<= 1.15", _sources(ground),
                    ["/usr/bin/make", "-s", "-B"])  # fmt: skip
    yield _recorded(ground, "recording 20,000 small files read", "<= 2", _small_files(ground),
                    [python, "work.py"])  # fmt: skip
    for name, text, what, aim in (
        ("cpu", _CPU, "recording one process that computes", "<= 1.05"),
        ("pool", _POOL, "recording a pool of 8 workers", "<= 1.15"),
    ):
        folder = _folder(ground, name)
        (folder / "work.py").write_text(text)
        yield _recorded(ground, what, aim, folder, [python, "work.py"])


def _folder(ground: Ground, name: str) -> Path:
    folder = ground.folder / name
    folder.mkdir()
    return folder


def _sources(ground: Ground) -> Path:
    folder = _folder(ground, "make")
    for number in range(60):
        (folder / f"f{number}.c").write_text(_C % number)
    (folder / "Makefile").write_text(_MAKEFILE)
    return folder


def _small_files(ground: Ground) -> Path:
    folder = _folder(ground, "opens")
    for number in range(20_000):
        place = folder / f"data/{number // 200}"
        place.mkdir(parents=True, exist_ok=True)
        (place / str(number)).write_text(str(number))
    (folder / "work.py").write_text(_OPENS)
    return folder


def _recorded(ground: Ground, what: str, aim: str, cwd: Path, argv: list[str]) -> Row:
    sides: dict[str, Callable[[], float]] = {
        "bare": lambda: timed(lambda: quiet(argv, cwd, ground.env)),
        "repro": lambda: _record(ground, cwd, argv),
    }
    notes = []
    if shutil.which("strace"):
        log = str(ground.folder / "strace.log")
        strace = ["strace", "-f", "--seccomp-bpf", "-e", "trace=%file", "-o", log, *argv]
        sides["strace"] = lambda: timed(lambda: quiet(strace, cwd, ground.env))
    else:
        notes.append("no strace")
    if ground.reprozip is None:
        trace = [str(ground.folder / "rz/bin/reprozip"), "trace", "--overwrite",
                 "--dont-identify-packages", "-d", str(ground.folder / "trace"), *argv]  # fmt: skip
        sides["reprozip trace"] = lambda: timed(lambda: quiet(trace, cwd, ground.env))
    else:
        notes.append(f"ReproZip: {ground.reprozip}")
    return Row(what, aim, rounds(ground.count, sides), "; ".join(notes))


def _record(ground: Ground, cwd: Path, argv: list[str]) -> float:
    """Seconds of a recorded run: start of the recorder, overlay, and ledger included."""
    code = (
        "import json, os, sys, time, tempfile\n"
        "from repro.model.step import Step\n"
        "from repro.observe.recorder import RecordRequest, record\n"
        "argv, cwd, scratch = json.loads(sys.argv[1])\n"
        "start = time.perf_counter()\n"
        "seen = record(RecordRequest(root=cwd, steps=(Step(name='s', argv=tuple(argv)),),\n"
        "              environment=dict(os.environ), scratch=scratch))\n"
        "spent = time.perf_counter() - start\n"
        "assert seen.steps[-1].exit == 0 and seen.tracer == 'notify', seen\n"
        "print(spent)\n"
    )
    with tempfile.TemporaryDirectory(dir=ground.folder) as scratch:
        return ground.seconds(code, json.dumps([argv, str(cwd), scratch]), cwd=cwd)
