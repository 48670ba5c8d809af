"""Steps that the author records at once: the archive, its rerun, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

from tests.workflows.lab import Lab
from tests.workflows.test_steps_and_processes import running

WAIT = "n=0; until [ -e {0} ]; do sleep 0.01; n=$((n+1)); [ $n -lt 3000 ] || exit 9; done"


def steps(lab: Lab, *, jobs: int | None = None) -> None:
    """Two fits that end only when both have begun, and a figure of both."""
    meet = lab.folder / "meet"
    meet.mkdir(exist_ok=True)
    listed = [
        {
            "name": name,
            # In the sealed rerun there is nothing to wait for: the steps come one by one.
            "run": f"if [ -d {meet} ]; then touch {meet}/{name}; {WAIT.format(meet / other)}; fi; "
            f"cat in.txt > {name}.txt; echo {name} >> {name}.txt",
        }
        for name, other in (("left", "right"), ("right", "left"))
    ]
    listed.append(
        {"name": "plot", "run": "cat left.txt right.txt > plot.txt", "needs": ["left", "right"]}
    )
    document = {"steps": listed, **({} if jobs is None else {"jobs": jobs})}
    lab.write("in.txt", "1\n")
    lab.write("repro.yml", json.dumps(document))


def test_recorded_at_once_and_rerun_in_order(lab: Lab) -> None:
    steps(lab, jobs=2)
    made = lab.snapshot()
    assert [output["path"] for output in made["outputs"]] == ["left.txt", "plot.txt", "right.txt"]
    assert lab.results()["plot.txt"] == "1\nleft\n1\nright\n"
    assert [step["name"] for step in lab.inspect()["steps"]] == ["left", "right", "plot"]
    lab.verify()


def test_a_part_reruns_the_steps_that_it_needs_alone(lab: Lab) -> None:
    steps(lab)
    lab.snapshot("--jobs", "3")
    done = lab.repro("verify", "--json", "--only", "right.txt", str(lab.archive))
    assert json.loads(done.stdout)["partial"]["steps"] == ["right"]
    done = lab.repro("verify", "--json", "--only", "plot.txt", str(lab.archive))
    assert json.loads(done.stdout)["partial"]["steps"] == ["left", "right", "plot"]


def test_steps_that_race_are_refused_with_the_mend(lab: Lab) -> None:
    lab.write(
        "repro.yml",
        "jobs: 4\nsteps:\n"
        "  - {name: fit, run: 'echo 1 > fit.txt'}\n"
        "  - {name: plot, run: 'cat fit.txt > plot.txt || echo none > plot.txt'}\n",
    )
    done = lab.repro("snapshot", "-o", str(lab.archive), status=3)
    assert "error[steps-race]" in done.stderr
    assert "'plot' opens fit.txt, which 'fit' writes" in done.stderr
    assert "write `needs: [fit]` into step 'plot'" in done.stderr
    assert not lab.archive.exists() and sorted(os.listdir(lab.project)) == ["repro.yml"]
    # One after the other the order is that of the list.
    lab.snapshot("--jobs", "1")
    assert lab.results()["plot.txt"] == "1\n"


def test_one_that_fails_ends_the_others(lab: Lab) -> None:
    seconds = f"5100.{os.getpid()}"
    meet = lab.folder / "begun"
    lab.write(
        "repro.yml",
        "jobs: 2\nsteps:\n"
        f"  - {{name: long, run: 'touch {meet}; sleep {seconds}'}}\n"
        f"  - {{name: bad, run: '{WAIT.format(meet)}; echo broken; exit 4'}}\n",
    )
    done = lab.repro("snapshot", "-o", str(lab.archive), status=5)
    assert "'bad' exited with status 4" in done.stderr and "broken" in done.stderr
    assert "'long' ran as 'bad' failed, and was ended" in done.stderr
    assert not running(seconds) and not lab.archive.exists()


def test_an_interruption_ends_all_steps(lab: Lab) -> None:
    seconds = f"5200.{os.getpid()}"
    lab.write(
        "repro.yml",
        "jobs: 2\nsteps:\n"
        f"  - {{name: one, run: 'touch one.txt; sleep {seconds}1'}}\n"
        f"  - {{name: two, run: 'touch two.txt; sleep {seconds}2'}}\n",
    )
    cache = lab.folder / "cache"
    with subprocess.Popen(
        [sys.executable, "-m", "repro", "snapshot", "-o", str(lab.archive)],
        cwd=lab.project, env={**lab.env, "REPRO_CACHE": str(cache)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (
            running(f"{seconds}1") and running(f"{seconds}2")
        ):
            time.sleep(0.02)
        assert running(f"{seconds}1") and running(f"{seconds}2")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert not running(f"{seconds}1") and not running(f"{seconds}2")
    assert sorted(os.listdir(lab.project)) == ["repro.yml"] and not lab.archive.exists()
    assert [path for name in ("runs", "staging") for path in (cache / name).glob("*")] == []
