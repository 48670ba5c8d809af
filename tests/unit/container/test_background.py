"""A process that goes on alone: own session, nothing of ours but what we opened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

SCRIPT = """
import json, os, sys, time
from pathlib import Path
from repro.container.background import detach
log, out, fail = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "fail"
own, write = os.pipe()
def work():
    if fail:
        raise ValueError("said in the log")
    time.sleep(0.3)
    fds = sorted(int(n) for n in os.listdir("/proc/self/fd"))
    fds = [fd for fd in fds if os.path.exists(f"/proc/self/fd/{fd}")]
    print("to the log")
    sys.stdout.flush()
    facts = dict(sid=os.getsid(0), pid=os.getpid(), ppid=os.getppid(), cwd=os.getcwd(), fds=fds,
                 own=[own, write], stdin=os.readlink("/proc/self/fd/0"))
    beside = out.with_suffix(".new")
    beside.write_text(json.dumps(facts))
    beside.rename(out)
detach(work, log)
print(os.getpid(), os.getsid(0))
"""


def started(tmp_path: Path, how: str) -> tuple[int, int]:
    read, write = os.pipe()
    os.set_inheritable(write, True)
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path / "log", tmp_path / "out", how],
        capture_output=True, text=True, close_fds=False, check=True, timeout=20,
    )  # fmt: skip
    os.close(write)
    assert os.read(read, 1) == b"", "our pipe is held open by nobody"
    os.close(read)
    assert time.monotonic() - begun < 10
    pid, session = map(int, done.stdout.split())
    return pid, session


def awaited(path: Path) -> str:
    deadline = time.monotonic() + 10
    while not path.exists() or not path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return path.read_text()


def test_it_goes_on_alone(tmp_path: Path) -> None:
    pid, session = started(tmp_path, "well")
    facts = json.loads(awaited(tmp_path / "out"))
    assert facts["sid"] not in (session, facts["pid"]), "own session, and not its leader"
    assert facts["ppid"] != pid and facts["cwd"] == "/" and facts["stdin"] == "/dev/null"
    assert facts["fds"] == sorted([0, 1, 2, *facts["own"]])
    assert (tmp_path / "log").read_text() == "to the log\n"
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_what_it_raises_is_in_the_log(tmp_path: Path) -> None:
    started(tmp_path, "fail")
    assert "said in the log" in awaited(tmp_path / "log")
