"""A container of docker until its end: the time, what it used, and which limit it reached."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from repro.model.limits import Limits
from repro.runtime.cgroups import Followed, groups_around, groups_of_container
from repro.runtime.docker_client import Client
from repro.runtime.kernel_log import KernelLog
from repro.runtime.nameless import removed_files, written_to

_EVERY = 0.1
_OFTEN = 0.01
_ELSEWHERE = 1.0
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
    """Looks after one container while its client is attached; ``ident`` is its full id.

    ``outputs`` are descriptors of ours that the run writes to: what plain files among them
    grow by is disk too. ``log`` was opened before the container is started.
    """

    def __init__(
        self,
        client: Client,
        ident: str,
        limits: Limits,
        outputs: Collection[int],
        log: KernelLog,
    ) -> None:
        self._client, self._name, self._limits, self._log = client, ident, limits, log
        self._outputs, self._logged = outputs, written_to(outputs)
        self._group: Followed | None = None
        self._next_disk = self._next_state = 0.0
        self._pid = 0

    def until_end(
        self,
        attached: subprocess.Popen[bytes],
        deadline: float | None,
        started: Callable[[int], None] | None,
    ) -> Ending:
        """Wait for it; at ``deadline`` (time.monotonic()) or beyond the disk it is killed."""
        ending = Ending()
        # A call of docker takes long, and a run that is short is over then: the groups are
        # asked for only where they are not at the usual places.
        self._next_state = time.monotonic() + (0 if started is not None else _ELSEWHERE)
        while attached.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                attached.wait(self._pause())
                break
            if self._find(started is not None) and started is not None:
                started(self._pid)
                started = None
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

    def _pause(self) -> float:
        """Until the next look: the counters of a group go when its last process ends."""
        return _OFTEN if self._group is None or self._limits.pids is not None else _EVERY

    def _find(self, asked: bool) -> bool:
        """Take what its control groups count; whether its first process is known, if ``asked``."""
        if self._group is None and (folders := groups_of_container(self._name)):
            self._group = Followed(folders)
        found = False
        now = time.monotonic()
        if (asked or self._group is None) and now >= self._next_state:
            pid = self._client.state(self._name).get("Pid")
            if isinstance(pid, int) and pid > 0:
                self._pid, found = pid, asked
                self._group = self._group or Followed(groups_around(pid))
            self._next_state = time.monotonic() + _EVERY
        if self._group is not None:
            self._group.look()
        return found

    def _over_disk(self) -> bool:
        now = time.monotonic()
        if self._limits.disk is None or now < self._next_disk:
            return False
        self._next_disk = now + _DISK_EVERY
        used = self._client.written(self._name) or 0
        used += written_to(self._outputs) - self._logged
        if self._group is not None:
            used += removed_files(self._group.processes())[1]
        return used > self._limits.disk

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
        if ending.exit not in (0, None) and ending.reached is None and self._pids_refused():
            ending.reached = "pids"

    def _pids_refused(self) -> bool:
        """The group's counter is gone with a container that ends at its limit; the log stays."""
        if self._limits.pids is None:
            return False
        counted = self._group is not None and self._group.pids_refused
        return counted or self._log.says("fork rejected by pids controller", self._name)
