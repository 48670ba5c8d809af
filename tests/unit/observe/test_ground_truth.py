"""The recorder against strace on the same workloads: no file is missed."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from repro.model.observation import Observation
from tests.unit.observe.recording_sample import ENVIRONMENT, PYTHON, Lab, need

PYTHON_SCRIPT = """
import csv, json, sqlite3, subprocess, decimal, email, multiprocessing, zoneinfo
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

def size(name):
    return len(open(name).read())

def main():
    rows = list(csv.reader(open('in.csv')))
    with ThreadPoolExecutor(4) as pool:
        threads = list(pool.map(size, ['data/%d' % n for n in range(40)]))
    with ProcessPoolExecutor(2) as pool:
        forks = list(pool.map(size, ['more/%d' % n for n in range(40)]))
    text = subprocess.run(['cat', 'in.csv'], capture_output=True).stdout
    db = sqlite3.connect('x.db')
    db.execute('create table t (a)')
    json.dump([rows, threads, forks, len(text)], open('out.json', 'w'))

main()
"""
PIPELINE = (
    "sort in.csv | uniq -c | awk '{print $2}' > t1; "
    "(cd data; cat * | tr a b) | tee t2 > /dev/null; "
    "for i in 1 2 3; do grep -l a more/* | head -$i; done > t3; "
    "find . -name '*.csv' -exec cat {} + > /dev/null; "
    "cp in.csv copy; mv copy moved; sed -i s/1/2/ moved; ln -s moved l; cat l > /dev/null"
)
MAKEFILE = """
all: prog out
prog: main.o part.o
\tcc -o prog main.o part.o
%.o: %.c part.h
\tcc -c $<
out: prog
\t./prog < in.csv > out
"""
SOURCES = {
    "Makefile": MAKEFILE,
    "part.h": "int part(int);\n",
    "main.c": '#include <stdio.h>\n#include "part.h"\nint main(){printf("%d", part(getchar()));}\n',
    "part.c": '#include "part.h"\nint part(int n) { return n + 1; }\n',
}
_OPEN = re.compile(rb"\b(?:open|openat|openat2|creat)\(.*= \d+<(/[^>]*)>(?:\(deleted\))?$")
_EXEC = re.compile(rb'\bexecve\("([^"]+)", .*= 0$')
_SKIPPED = ("/proc/", "/sys/", "/dev/")


def files() -> dict[str, str]:
    many = {f"{folder}/{n}": "a" * n for folder in ("data", "more") for n in range(40)}
    return {"in.csv": "1\n2\n1\n", "run.py": PYTHON_SCRIPT, **SOURCES, **many}


WORKLOADS: Mapping[str, tuple[str, ...]] = {
    "python": (PYTHON, "-IB", "run.py"),
    "pipeline": ("/bin/sh", "-c", PIPELINE),
    "make": ("make", "-j2"),
}


def truth(lab: Lab, argv: tuple[str, ...]) -> tuple[set[str], int]:
    """Real paths of everything opened or executed below strace, and the exit status."""
    log = lab.folder / "log"
    options = ("-f", "-y", "-qq", "-s", "8192", "-e", "trace=%file", "-o", str(log))
    done = subprocess.run(
        [need("strace"), *options, *argv], cwd=lab.root, env=ENVIRONMENT, capture_output=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    found = set()
    for line in joined(log.read_bytes()):
        match = _OPEN.search(line) or _EXEC.search(line)
        if match is not None:
            place = os.path.join(lab.root, os.fsdecode(match[1]))
            found.add(os.path.realpath(place))
    return {path for path in found if not path.startswith(_SKIPPED)}, done.returncode


def joined(log: bytes) -> list[bytes]:
    """Lines of strace, the two halves of an interrupted call put together."""
    pending: dict[bytes, bytes] = {}
    whole = []
    for line in log.splitlines():
        pid, _, rest = line.partition(b" ")
        rest = rest.strip()
        if rest.endswith(b"<unfinished ...>"):
            pending[pid] = rest[: -len(b"<unfinished ...>")]
        else:
            resumed = re.match(rb"<\.\.\. \w+ resumed>(.*)", rest)
            whole.append(pending.pop(pid, b"") + resumed[1] if resumed else rest)
    return whole


def noted(seen: Observation) -> set[str]:
    return {os.path.realpath(each.path) for each in seen.accesses}


def temporary(path: str) -> bool:
    """Names that differ from run to run."""
    return re.search(r"/tmp/cc\w+|/tmp/GMfifo\d+|/sed\w{6}$|/pymp-|/dev/shm", path) is not None


@pytest.mark.parametrize("tracer", ["notify", "strace"])
@pytest.mark.parametrize("name", list(WORKLOADS))
def test_no_file_is_missed(tmp_path: Path, name: str, tracer: str) -> None:
    argv = WORKLOADS[name]
    for program in ("strace", *(("make", "cc") if name == "make" else ())):
        need(program)
    lab = Lab(tmp_path, files())
    # The run is recorded first, in an overlay: strace then starts from the same folder.
    seen = lab.run(*argv, tracer=tracer)
    assert seen.steps[0].exit == 0, seen.steps[0].tail
    expected, status = truth(lab, argv)
    assert status == 0
    assert len(expected) > 20
    missed = {path for path in expected - noted(seen) if not temporary(path)}
    assert missed == set()
    inputs = {each.path for each in seen.accesses if each.read_first}
    assert str(lab.root / "in.csv") in inputs
    lab.close()


def test_both_tracers_say_the_same_of_the_project(tmp_path: Path) -> None:
    need("strace")
    lab = Lab(tmp_path, files())
    lines = []
    for tracer in ("notify", "strace"):
        seen = lab.run("/bin/sh", "-c", PIPELINE, tracer=tracer)
        lines.append(
            {
                each.path: (each.read_first, each.written, each.listed)
                for each in seen.accesses
                if each.path.startswith(str(lab.root)) and not temporary(each.path)
            }
        )
        assert seen.processes[0].exe == "/bin/sh"
    assert lines[0] == lines[1]
    lab.close()
