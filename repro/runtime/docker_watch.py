"""A container of docker until its end: the time, what it used, and which limit it reached."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from repro.model.limits import Limits
from repro.runtime.cgroups import Followed
from repro.runtime.docker_client import Client

_EVERY = 0.1
_DISK_EVERY = 2.0
_LAST = 10.0


@dataclass
class Ending:
    """``exit`` is the attached client's status, None when the command was never started."""

    exit: int | None = None
    killed: bool = False
    timed_out: bool = False
    reached: str | None = None
    peak: int | None = None
    said: str = ""


class Look:
    """Looks after one container while its client is attached."""

    def __init__(self, client: Client, name: str, limits: Limits) -> None:
        self._client, self._name, self._limits = client, name, limits
        self._group: Followed | None = None
        self._next_disk = 0.0

    def until_end(
        self,
        attached: subprocess.Popen[bytes],
        deadline: float | None,
        started: Callable[[int], None] | None,
    ) -> Ending:
        """Wait for it; at ``deadline`` (time.monotonic()) or beyond the disk it is killed."""
        ending = Ending()
        while attached.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                attached.wait(_EVERY)
                break
            self._find(started)
            if deadline is not None and time.monotonic() >= deadline:
                ending.timed_out = ending.killed = True
            elif self._over_disk():
                ending.reached, ending.killed = "disk", True
            if ending.killed:
                self._client.call("kill", self._name)
                break
        with contextlib.suppress(subprocess.TimeoutExpired):
            attached.wait(_LAST)
        if attached.poll() is None:
            attached.kill()
            attached.wait()
        self._end(ending, attached)
        return ending

    def _find(self, started: Callable[[int], None] | None) -> None:
        """Its control group, which is gone once it has ended."""
        if self._group is None:
            pid = self._client.state(self._name).get("Pid")
            if isinstance(pid, int) and pid > 0:
                self._group = Followed(pid)
                if started is not None:
                    started(pid)
        if self._group is not None:
            self._group.look()

    def _over_disk(self) -> bool:
        now = time.monotonic()
        if self._limits.disk is None or now < self._next_disk:
            return False
        self._next_disk = now + _DISK_EVERY
        written = self._client.written(self._name)
        return written is not None and written > self._limits.disk

    def _end(self, ending: Ending, attached: subprocess.Popen[bytes]) -> None:
        state = self._client.state(self._name)
        if state.get("Running"):
            # Its client was killed, not the command.
            self._client.call("kill", self._name)
            ending.killed = True
        if str(state.get("StartedAt", "0001")).startswith("0001") or state.get("Error"):
            ending.said = str(state.get("Error") or "docker did not start the command")
        else:
            ending.exit = attached.returncode
        if self._group is not None:
            ending.peak = self._group.peak
            refused = self._limits.pids is not None and self._group.pids_refused
            if refused and ending.exit not in (0, None) and ending.reached is None:
                ending.reached = "pids"
