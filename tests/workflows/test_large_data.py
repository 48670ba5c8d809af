"""Much data: many small files, one large file read, one large file written; memory is bounded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.workflows.lab import Lab

pytestmark = pytest.mark.slow
LARGE = 2 << 30
PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable


def measured(lab: Lab, *words: str) -> tuple[Any, int]:
    """The document of a command, and the most memory (bytes) that one of its processes had."""
    with subprocess.Popen(
        [sys.executable, "-m", "repro", words[0], "--json", *words[1:]], cwd=lab.project, env=lab.env,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, said + process.stderr.read()
    return json.loads(said), usage.ru_maxrss * 1024


def round_trip(lab: Lab, script: str, most: int) -> None:
    lab.write("run.py", script)
    made, peak = measured(lab, "snapshot", "-o", str(lab.archive), "--", PYTHON, "run.py")
    assert made["self_test"]["outcome"] == "identical"
    found, again = measured(lab, "verify", str(lab.archive))
    assert found["verdict"] == "identical"
    assert max(peak, again) < most, f"{max(peak, again) >> 20} MB"


def test_a_hundred_thousand_small_files(lab: Lab) -> None:
    for number in range(100):
        folder = lab.project / f"data/{number:02d}"
        folder.mkdir(parents=True)
        for each in range(1000):
            (folder / f"{each:03d}.txt").write_text(f"{number * 1000 + each}\n")
    script = (
        "import glob\n"
        "total = sum(int(open(path).read()) for path in sorted(glob.glob('data/*/*.txt')))\n"
        "open('out.txt', 'w').write(str(total))\n"
    )
    round_trip(lab, script, 600_000_000)
    assert lab.results() == {"out.txt": str(sum(range(100_000)))}


def test_a_large_sparse_input_is_streamed(lab: Lab) -> None:
    with (lab.project / "big.bin").open("wb") as stream:
        stream.truncate(LARGE)
        stream.seek(LARGE // 2)
        stream.write(bytes(range(1, 200)))
    script = (
        "count = 0\n"
        "with open('big.bin', 'rb') as stream:\n"
        "    while data := stream.read(1 << 20):\n"
        "        count += len(data) - data.count(0)\n"
        "open('out.txt', 'w').write(str(count))\n"
    )
    round_trip(lab, script, 400_000_000)
    assert lab.results() == {"out.txt": "199"}
    assert lab.archive.stat().st_size < 100_000_000


def test_a_large_output_and_one_appended_in_place_are_streamed(lab: Lab) -> None:
    with (lab.project / "grows.bin").open("wb") as stream:
        stream.truncate(LARGE // 4)
    script = (
        "with open('big.bin', 'wb') as stream:\n"
        f"    stream.truncate({LARGE})\n"
        "with open('grows.bin', 'ab') as stream:\n"
        "    stream.write(b'end')\n"
    )
    round_trip(lab, script, 400_000_000)
    assert (lab.project / "grows.bin").stat().st_size == LARGE // 4
