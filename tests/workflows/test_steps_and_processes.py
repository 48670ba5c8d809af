"""Steps that need each other, pools of processes and threads, daemons, interruptions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.workflows.lab import Lab


def test_steps_run_one_at_a_time_each_after_what_it_needs(lab: Lab) -> None:
    log = "echo {0} >> order.txt; sleep 0.05; echo {0} >> order.txt"
    lab.write(
        "repro.yml",
        "steps:\n"
        f"  - {{name: plot, run: '{log.format('plot')}', needs: [fit, clean]}}\n"
        f"  - {{name: fit, run: '{log.format('fit')}', needs: [clean]}}\n"
        f"  - {{name: other, run: '{log.format('other')}'}}\n"
        f"  - {{name: clean, run: '{log.format('clean')}'}}\n",
    )
    lab.snapshot()
    # "other" is the first in the list that needs nothing: the order is that of the list.
    order = ["other", "clean", "fit", "plot"]
    assert lab.results()["order.txt"].split() == [name for name in order for _ in range(2)]
    assert [step["name"] for step in lab.inspect()["steps"]] == order
    lab.verify()


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        (("two", "three", "one"), "need each other"),
        (("one", "one", "one"), "need each other"),
        (("nobody", "one", "two"), "which is no step"),
    ],
)
def test_steps_that_cannot_be_ordered(lab: Lab, needs: tuple[str, ...], said: str) -> None:
    names = ("one", "two", "three")
    steps = [
        {"name": name, "run": "touch ran.txt", "needs": [need]}
        for name, need in zip(names, needs, strict=True)
    ]
    lab.write("repro.yml", json.dumps({"steps": steps}))
    done = lab.repro("snapshot", status=3)
    assert "error[config]" in done.stderr and said in done.stderr
    assert sorted(os.listdir(lab.project)) == ["repro.yml"]


def test_a_failed_step_stops_what_needs_it(lab: Lab) -> None:
    lab.write(
        "repro.yml",
        "steps:\n"
        "  - {name: one, run: 'echo broken; exit 4'}\n"
        "  - {name: two, run: 'touch /tmp/repro-ran-$$; echo never', needs: [one]}\n",
    )
    done = lab.repro("snapshot", "-v", "-o", str(lab.archive), status=5)
    assert "'one' exited with status 4" in done.stderr and "broken" in done.stderr
    assert "never" not in done.stderr
    assert not lab.archive.exists()


POOLS = """
import multiprocessing, os, subprocess, sys, threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import shared_memory

def work(number):
    with open(f'data/{number % 5}.txt') as stream:
        text = stream.read().strip()
    with open(f'parts/{os.getpid()}-{number}', 'w') as stream:
        stream.write(text)
    return f'{text}:{number * number}'

if __name__ == '__main__':
    os.mkdir('parts')
    lines = []
    for method in ('fork', 'spawn', 'forkserver'):
        with multiprocessing.get_context(method).Pool(3) as pool:
            lines.append((method, pool.map(work, range(10))))
    with ThreadPoolExecutor(3) as pool:
        lines.append(('threads', list(pool.map(work, range(10)))))
    with ProcessPoolExecutor(2) as pool:
        lines.append(('processes', list(pool.map(work, range(10)))))
    block = shared_memory.SharedMemory(create=True, size=16)
    block.buf[0] = 7
    lines.append(('shared', block.buf[0]))
    block.close()
    block.unlink()
    for name in os.listdir('parts'):
        os.unlink(f'parts/{name}')
    os.rmdir('parts')
    with open('out.txt', 'w') as stream:
        stream.write(repr(lines))
"""


def test_pools_of_processes_and_threads(lab: Lab) -> None:
    lab.write("run.py", POOLS)
    for number in range(5):
        lab.write(f"data/{number}.txt", f"datum {number}\n")
    made = lab.snapshot("--", sys.executable, "run.py")
    assert [output["path"] for output in made["outputs"]] == ["out.txt"]
    found = lab.results()["out.txt"]
    assert found.count("datum 4:81") == 5 and "('shared', 7)" in found
    assert {f"{lab.project}/data/{n}.txt" for n in range(5)} <= lab.packed("code").keys()
    lab.verify()


def test_a_daemon_is_named_and_ended(lab: Lab) -> None:
    seconds = f"4000.{os.getpid()}"
    script = (
        f"setsid sh -c 'echo started > late.txt; exec sleep {seconds}' &\n"
        f"nohup sleep {seconds} > /dev/null 2>&1 &\n"
        "while [ ! -s late.txt ]; do sleep 0.01; done; echo done > out.txt\n"
    )
    made = lab.repro("snapshot", "-o", str(lab.archive), "--", "sh", "-c", script)
    assert "sleep outlived 'sh' and was ended" in made.stderr
    assert seconds not in subprocess.run(["ps", "ax"], capture_output=True, text=True).stdout
    assert lab.results() == {"late.txt": "started\n", "out.txt": "done\n"}
    assert any("outlived" in text for text in lab.inspect()["not_observed"])
    lab.verify()


@pytest.mark.parametrize("capture", ["overlay", "in-place"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["run", "self-test"])
def test_an_interrupted_snapshot_leaves_nothing(
    lab: Lab, capture: str, number: signal.Signals, moment: str
) -> None:
    seconds = f"5000.{os.getpid()}"
    flag = lab.folder / "running"
    # Inside the seal the host's name differs: there the self-test waits instead.
    wait = f"echo x > {flag}; sleep {seconds}"
    script = "echo 2 >> in.txt; echo new > new.txt; "
    if moment == "run":
        script += wait
    else:
        script += f"if [ $(cat /proc/sys/kernel/hostname) = repro ]; then sleep {seconds}; fi"
    lab.write("in.txt", "1\n")
    cache = lab.folder / "cache"
    with subprocess.Popen(
        [sys.executable, "-m", "repro", "snapshot", "-v", "--capture", capture, "-o",
         str(lab.archive), "--", "sh", "-c", script],
        cwd=lab.project, env={**lab.env, "REPRO_CACHE": str(cache)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not running(seconds):
            time.sleep(0.02)
        assert running(seconds)
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert not running(seconds)
    assert sorted(os.listdir(lab.project)) == ["in.txt"]
    assert (lab.project / "in.txt").read_text() == "1\n"
    assert not lab.archive.exists()
    left = [path for name in ("runs", "staging") for path in (cache / name).glob("*")]
    assert left == []
    assert not [path for path in Path("/dev/shm").glob("repro-record-*")]


def running(word: str) -> bool:
    """Whether a process has this word in its command line."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if word.encode() in words:
            return True
    return False
