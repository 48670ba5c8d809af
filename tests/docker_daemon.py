"""A dockerd of our own, without any network, for tests that need a real one."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def daemon() -> Iterator[str]:
    """Its address for DOCKER_HOST. Raises RuntimeError, with its last words, when it fails."""
    program = shutil.which("dockerd", path="/usr/sbin:/usr/bin:/usr/local/bin:/usr/local/sbin")
    if program is None or os.geteuid() != 0:
        raise RuntimeError("dockerd is not installed, or we are not root")
    home = Path(tempfile.mkdtemp(prefix="repro-dockerd-", dir="/var/tmp"))
    socket = Path(f"/run/repro-test-{os.getpid()}.sock")  # at most 107 bytes
    with (home / "log").open("wb") as log:
        running = subprocess.Popen(
            [program, "--bridge=none", "--iptables=false", "--ip-forward=false",
             "--data-root", str(home / "data"), "--exec-root", str(home / "exec"),
             "-p", str(home / "pid"), "-H", f"unix://{socket}"],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while not socket.exists():
            if time.monotonic() > end or running.poll() is not None:
                raise RuntimeError((home / "log").read_text()[-2000:])
            time.sleep(0.2)
        yield f"unix://{socket}"
    finally:
        running.terminate()
        running.wait(timeout=60)
        socket.unlink(missing_ok=True)
        subprocess.run(["umount", "-l", str(home / "exec/netns/default")], capture_output=True)
        shutil.rmtree(home, ignore_errors=True)
