"""Ending every process of a run, also those that left their parents."""

from __future__ import annotations

import contextlib
import os
import signal
import time


def children_of(pid: int) -> set[int]:
    """The direct children of a process."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children") as stream:
                found.update(map(int, stream.read().split()))
    return found


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
