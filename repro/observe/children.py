"""Ending every process of a run, also those that left their parents."""

from __future__ import annotations

import contextlib
import os
import signal
import time

_THREADS = 17  # num_threads, counted from the state


def children_of(pid: int) -> set[int]:
    """The direct children of a process, ended ones that nobody waited for included."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            try:
                with open(f"/proc/{pid}/task/{task}/children") as stream:
                    found.update(map(int, stream.read().split()))
            except FileNotFoundError:
                if os.path.exists(f"/proc/{pid}/task/{task}"):
                    # A kernel without CONFIG_PROC_CHILDREN.
                    return children_by_parent(pid)
            except OSError:
                continue
    return found


def children_by_parent(pid: int) -> set[int]:
    """The same by a look at every process: slower, but none is skipped while others end."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit() and _stat_fields(int(name))[1:2] == [str(pid).encode()]:
            found.add(int(name))
    return found


def _stat_fields(pid: int) -> list[bytes]:
    """Fields of /proc/PID/stat from the state on (proc(5)); empty when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb", 0) as stream:
            data = stream.read(1024)
        return data[data.rindex(b")") + 2 :].split()
    except (OSError, ValueError):
        return []


def running(pids: set[int]) -> set[int]:
    """Those that have not ended yet (ended ones stay until they are waited for)."""
    return {pid for pid in pids if _is_running(_stat_fields(pid))}


def _is_running(fields: list[bytes]) -> bool:
    if not fields or fields[0] == b"X":
        return False
    # A first thread that ended counts as a zombie while its other threads go on.
    return fields[0] != b"Z" or int(fields[_THREADS]) > 1


def descendants(roots: set[int]) -> set[int]:
    """``roots`` and everything below them."""
    found: set[int] = set()
    pending = list(roots)
    while pending:
        pid = pending.pop()
        if pid not in found:
            found.add(pid)
            pending.extend(children_of(pid))
    return found


def name_of(pid: int) -> str:
    """A process's short name, for people."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return "a process"


def strays(before: set[int]) -> set[int]:
    """Children of this process that were not there before: a run's own and its orphans."""
    return children_of(os.getpid()) - before


def end_all(before: set[int], limit: float = 10.0) -> None:
    """Kill what a run left, with all below it, and reap it.

    Works because orphans become children of this process (PR_SET_CHILD_SUBREAPER).
    """
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        own = strays(before)
        if not own:
            return
        for pid in descendants(own):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in own:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.005)
