"""What recording costs, beside the bare run and ReproZip."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ground import Ground
from measure import ROOT, Row, quiet, rounds, timed


def recording(ground: Ground) -> Iterator[Row]:
    book = ground.folder / "book"
    shutil.copytree(ROOT / "examples/notebook", book)
    (book / ".repro").mkdir()
    shutil.copy(ROOT / "templates/notebook_runner.py", book / ".repro/notebook.py")
    notebook = [str(ground.python), ".repro/notebook.py", "paper.ipynb"]
    yield _recorded(ground, "recording a pandas/matplotlib notebook", "<= 1.08", book, notebook)
    storm = ground.folder / "storm"
    storm.mkdir()
    script = "i=0; while [ $i -lt 500 ]; do echo $i | /bin/cat > out; /bin/true; i=$((i+1)); done"
    command = ["/bin/sh", "-c", script]
    yield _recorded(ground, "recording 1,000 processes of a shell", "<= 1.8", storm, command)


def _recorded(ground: Ground, what: str, aim: str, cwd: Path, argv: list[str]) -> Row:
    sides: dict[str, Callable[[], float]] = {
        "bare": lambda: timed(lambda: quiet(argv, cwd, ground.env)),
        "repro": lambda: _record(ground, cwd, argv),
    }
    note = ""
    if ground.reprozip is None:
        trace = [str(ground.folder / "rz/bin/reprozip"), "trace", "--overwrite",
                 "--dont-identify-packages", "-d", str(ground.folder / "trace"), *argv]  # fmt: skip
        sides["reprozip trace"] = lambda: timed(lambda: quiet(trace, cwd, ground.env))
    else:
        note = f"ReproZip: {ground.reprozip}"
    return Row(what, aim, rounds(ground.count, sides), note)


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
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps([argv, str(cwd), scratch])],
            env=ground.env, cwd=cwd, capture_output=True, text=True, check=True,
        )  # fmt: skip
    return float(done.stdout)
