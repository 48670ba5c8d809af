from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from repro.primitives.process import subreaper
from repro.runtime.watch import Watch

LAUNCHER = """
import json, os, sys, time
status = int(sys.argv[1])
named, name = os.pipe()
child = os.fork()
if child == 0:
    os.setsid()
    os.close(status)
    os.read(named, 1)
    print(os.getpid(), flush=True)
    time.sleep(600)
os.write(status, json.dumps({"child-pid": child}).encode() + b"\\n")
os.write(name, b".")
time.sleep(600)
"""


def test_interrupted_before_the_init_was_heard_of(capfd: pytest.CaptureFixture[str]) -> None:
    """The launcher has named its child, which is in a session of its own; nobody has read it."""
    read, write = os.pipe()
    with subreaper():
        launcher = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, str(write)], pass_fds=(write,),
            stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        os.close(write)
        assert launcher.stdout is not None
        child = int(launcher.stdout.readline())
        launcher.returncode = 0  # the watch waits for it
        with pytest.raises(KeyboardInterrupt), Watch(launcher.pid, read, own_group=True):
            raise KeyboardInterrupt
        launcher.stdout.close()
    os.close(read)
    deadline = time.monotonic() + 1
    while os.path.exists(f"/proc/{child}") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not os.path.exists(f"/proc/{child}")
