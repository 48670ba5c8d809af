"""Small honest projects under the probe: each cause is classed rightly and found in its line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from repro.report.jsondoc import verify_schema
from repro.workflows.probe_clock import libraries
from tests.workflows.lab import Lab

SCRIPT = """\
import os
import random
import socket
from datetime import datetime

names = {"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"}
with open("order.txt", "w") as f:
    for name in names:
        f.write(name + "\\n")

noise = random.random()
open("noise.txt", "w").write(repr(noise))

now = datetime.now()
with open("clock.txt", "w") as f:
    f.write(f"value {now.timestamp()}")

found = os.listdir("data")
with open("files.txt", "w") as f:
    f.write("\\n".join(found))

host = socket.gethostname()
open("host.txt", "w").write(host)

workers = len(os.sched_getaffinity(0))
open("workers.txt", "w").write(str(workers))

threads = os.environ.get("OMP_NUM_THREADS", "all")
open("threads.txt", "w").write(threads)

open("sum.txt", "w").write(str(sum(len(name) for name in sorted(names))))
"""
EXPECTED = {
    "order.txt": ("varies", ["hash-seed"], [8]),
    "noise.txt": ("nondeterministic", [], [11]),
    "clock.txt": ("nondeterministic", [], [14]),
    "files.txt": ("varies", ["directory-order"], [18]),
    "host.txt": ("varies", ["host-name"], [22]),
    "workers.txt": ("varies", ["cpus"], [25]),
    "threads.txt": ("varies", ["threads"], [28]),
    "sum.txt": ("deterministic", [], []),
}


def lines_of(output: dict[str, Any]) -> list[int]:
    return [place["line"] for place in output["places"] if place["path"] == "main.py"]


def project(lab: Lab) -> None:
    lab.write("main.py", SCRIPT)
    for name in "badce":
        lab.write(f"data/{name}.csv", name)


@pytest.mark.real  # a dozen reruns of Python
def test_each_cause_is_classed_and_found_in_its_line(lab: Lab) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one processor: their number cannot be varied")
    project(lab)
    done = lab.repro(
        "snapshot", "--probe", "--json", "-o", str(lab.archive), "--", "python3", "main.py"
    )
    made = json.loads(done.stdout)
    probe = made["probe"]
    found = {o["path"]: (o["class"], o["axes"], lines_of(o)) for o in probe["outputs"]}
    assert found == EXPECTED
    states = {axis["axis"]: axis["state"] for axis in probe["axes"]}
    assert states["blas-kernel"] == "not varied"
    assert states["clock"] == ("varied" if libraries() else "not varied")
    assert all(axis["why"] for axis in probe["axes"] if axis["state"] != "varied")
    assert "sealed reruns, about" in done.stderr
    assert made["self_test"]["places"]["noise.txt"][0]["line"] == 11
    # What the author learns is in the archive, for the reviewer.
    assert lab.inspect()["probe"] == probe
    report = lab.folder / "report.html"
    verified = lab.repro("verify", "--json", "--report", str(report), str(lab.archive), status=1)
    document = json.loads(verified.stdout)
    assert not list(Draft202012Validator(json.loads(verify_schema())).iter_errors(document))
    assert document["probe"] == probe
    classes = {o["path"]: o["stability"]["class"] for o in document["outputs"]}
    assert classes == {path: expected[0] for path, expected in EXPECTED.items()}
    places = {hint["at"]: hint["code"] for hint in document["hints"] if "at" in hint}
    assert places["main.py:11"] == "random"
    assert places["main.py:14"] == "clock"
    page = report.read_text()
    assert "What was varied" in page and "main.py:8" in page


DATED = """\
from datetime import datetime
import os
import time

began = time.monotonic()
year = datetime.now().year
with open("year.txt", "w") as f:
    f.write(str(year))
open("same.txt", "w").write("the same\\n")
open("age.txt", "w").write(str(int(os.stat("dated.py").st_mtime)))
open("took.txt", "w").write(str(time.monotonic() - began < 3600))
"""


@pytest.mark.real  # a dozen reruns of Python
def test_what_shows_the_date_varies_with_the_clock(lab: Lab) -> None:
    if not libraries():
        if os.environ.get("CI"):
            pytest.fail("libfaketime is not installed")
        pytest.skip("libfaketime is not installed")
    lab.write("dated.py", DATED)
    done = lab.repro(
        "snapshot", "--probe", "--json", "-o", str(lab.archive), "--", "python3", "dated.py"
    )
    probe = json.loads(done.stdout)["probe"]
    clock = next(axis for axis in probe["axes"] if axis["axis"] == "clock")
    assert (clock["state"], clock["held"]) == ("varied", None)
    found = {o["path"]: (o["says"], [p["line"] for p in o["places"]]) for o in probe["outputs"]}
    # The time of a packed file and the time that passes are not moved.
    assert found == {
        "year.txt": ("varies with clock", [6]), "same.txt": ("deterministic", []),
        "age.txt": ("deterministic", []), "took.txt": ("deterministic", []),
    }  # fmt: skip
    assert not any("the date was the same" in limit for limit in probe["limits"])


def test_a_stable_project_needs_two_reruns(lab: Lab) -> None:
    lab.write("run.sh", "sort in.txt > out.txt\nls data | sort > names.txt\n")
    lab.write("in.txt", "b\na\n")
    lab.write("data/x", "")
    lab.write("data/y", "")
    done = lab.repro("snapshot", "--probe", "-o", str(lab.archive), "--", "sh", "run.sh")
    assert "probe     2 of 2 outputs deterministic, in 2 sealed reruns" in done.stdout
    if not libraries():
        assert "clock not varied: " in done.stdout
        assert "apt install libfaketime" in done.stdout
    plain = lab.repro(
        "snapshot", "-o", str(lab.folder / "plain.repro"), "--", "sh", "run.sh"
    ).stdout
    # What was found out is a circumstance: the identity is that of the project.
    assert plain.split()[1] == done.stdout.split()[1]
    told = lab.repro("verify", str(lab.archive)).stdout
    assert "author's probe: 2 of 2 outputs deterministic" in told


def test_a_probe_without_self_test_is_refused(lab: Lab, tmp_path: Path) -> None:
    lab.write("run.sh", "echo a > out.txt\n")
    done = lab.repro("snapshot", "--probe", "--no-self-test", "--", "sh", "run.sh", status=2)
    assert "--no-self-test" in done.stderr
    assert not lab.archive.exists()
