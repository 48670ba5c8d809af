"""Limits where no control group may be made: the sandbox's processes are summed, then killed.

Between two looks a run can go beyond its limit for a moment; what is promised is that it
does not stay there.
"""

from __future__ import annotations

import contextlib
import math
import os
import stat
import time
from collections.abc import Collection, Iterator

from repro.model.limits import Limits
from repro.runtime.nameless import removed_files, shared_memory, written_to

INTERVAL = 0.1
"""Seconds between two looks at processes and memory."""
_LEAST_DISK_INTERVAL = 0.5
_DISK_SHARE = 20  # looking at the disk, or closely at memory, takes at most a twentieth of the time


class Watchdog:
    """Looks after the processes below ``init`` and the writable layer at ``upper``.

    ``skip`` names limits that something else enforces. ``outputs`` are descriptors of ours that
    the run writes to: what plain files among them grow by is disk too. ``reached`` is the first limit that
    was passed, ``peak`` the largest sum of memory seen, in bytes.
    """

    def __init__(
        self,
        init: int,
        upper: str,
        limits: Limits,
        skip: Collection[str] = (),
        outputs: Collection[int] = (),
    ) -> None:
        self._init = init
        self._upper = upper
        self._limits = limits
        self._skip = frozenset(skip)
        self._outputs = outputs
        self._logged = written_to(outputs)
        self._next_disk = self._next_deep = 0.0
        self._shared = 0
        self._cpus = _fewer(limits.cpus) if "cpu" not in self._skip else None
        self.reached: str | None = None
        self.peak = 0

    def look(self) -> bool:
        """Sum up once; True when a limit is passed (``reached`` says which)."""
        found = list(processes(self._init))
        limits = self._limits
        if limits.pids is not None and "pids" not in self._skip:
            if sum(threads for _, threads in found) > limits.pids:
                self.reached = "pids"
        if limits.memory is not None:
            used = sum(memory_of(pid) for pid, _ in found) + self._not_own(found)
            self.peak = max(self.peak, used)
            if used > limits.memory and "memory" not in self._skip:
                self.reached = "memory"
        if self._cpus is not None:
            for pid, _ in found:
                keep_on(pid, self._cpus)
        if limits.disk is not None and self._over_disk(limits.disk, found):
            self.reached = "disk"
        return self.reached is not None

    def _not_own(self, found: list[tuple[int, int]]) -> int:
        """What is in memory and no process's own: files there, and what is shared.

        Between two of the longer looks the last one holds.
        """
        now = time.monotonic()
        if now >= self._next_deep:
            pids = [pid for pid, _ in found]
            self._shared = max(removed_files(pids)[0], shared_memory(pids))
            spent = time.monotonic() - now
            self._next_deep = now + spent * _DISK_SHARE
        return max(self._shared, shared_of(self._init))

    def _over_disk(self, most: int, found: list[tuple[int, int]]) -> bool:
        now = time.monotonic()
        if now < self._next_disk:
            return False
        used = disk_of(self._upper) + removed_files(pid for pid, _ in found)[1]
        used += written_to(self._outputs) - self._logged
        spent = time.monotonic() - now
        self._next_disk = now + max(_LEAST_DISK_INTERVAL, spent * _DISK_SHARE)
        return used > most


def processes(init: int) -> Iterator[tuple[int, int]]:
    """``init`` and all processes below it, each with its number of threads (proc(5))."""
    waiting = [init]
    while waiting:
        pid = waiting.pop()
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        yield pid, len(threads)
        for thread in threads:
            with contextlib.suppress(OSError, ValueError):
                with open(f"/proc/{pid}/task/{thread}/children", "rb") as stream:
                    waiting.extend(map(int, stream.read().split()))


def memory_of(pid: int) -> int:
    """A process's own memory in bytes: what is resident and no file's (statm, proc(5))."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open(f"/proc/{pid}/statm", "rb") as stream:
            fields = stream.read().split()
        return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")
    return 0


def shared_of(init: int) -> int:
    """Bytes of files in memory inside (/dev/shm); 0 where that cannot be looked at."""
    with contextlib.suppress(OSError):
        status = os.statvfs(f"/proc/{init}/root/dev/shm")
        return (status.f_blocks - status.f_bfree) * status.f_frsize
    return 0


def disk_of(folder: str) -> int:
    """Bytes on disk below ``folder``, hard links counted once."""
    total, waiting = 0, [folder]
    seen: set[int] = set()
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        waiting.append(entry.path)
                    elif status.st_nlink == 1 or status.st_ino not in seen:
                        total += status.st_blocks * 512
                        seen.add(status.st_ino)
        except OSError:
            continue
    return total


def _fewer(cpus: float | None) -> set[int] | None:
    """As many of our processors as ``cpus`` rounded up; None when that is no limit."""
    if cpus is None:
        return None
    own = sorted(os.sched_getaffinity(0))
    count = max(1, math.ceil(cpus))
    return set(own[:count]) if count < len(own) else None


def keep_on(pid: int, cpus: set[int]) -> None:
    """Bind a process with all its threads to these processors; harmless when it is gone."""
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(thread), cpus)


def mechanism(name: str, limits: Limits) -> str | None:
    """How the watchdog holds a limit, in words; None when it cannot."""
    if name == "cpu":
        assert limits.cpus is not None
        if limits.cpus < 1 or limits.cpus % 1:
            return None  # a share of a processor needs a control group
        bound = _fewer(limits.cpus)
        if bound is None:
            return "this machine lends no more processors"
        return f"bound to {len(bound)} of the processors, every {INTERVAL} s anew"
    if name == "disk":
        return "the writable layer is summed and the run killed beyond it"
    return f"summed every {INTERVAL} s over all processes, killed beyond it"
