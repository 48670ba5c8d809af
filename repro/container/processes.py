"""Processes told apart for good: a number is used again, number, start and boot together are not.

proc(5), field 22 of /proc/PID/stat; pidfd_open(2).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from typing import Any

from repro.errors import StorageError
from repro.primitives.frozen import frozen


@frozen
class Process:
    """``pid`` as this machine numbers it, ``start`` in clock ticks since the boot ``boot``."""

    pid: int
    start: int
    boot: str

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {"pid": self.pid, "start": self.start, "boot": self.boot}

    @classmethod
    def parse(cls, value: object) -> Process:
        """Read the JSON form. Raises StorageError."""
        if isinstance(value, dict):
            pid, start, boot = value.get("pid"), value.get("start"), value.get("boot")
            if type(pid) is int and pid > 1 and type(start) is int and isinstance(boot, str):
                return cls(pid=pid, start=start, boot=boot)
        raise StorageError("a container's state names no valid process", slug="container-state")

    def alive(self, boot: str) -> bool:
        """Whether this very process runs; ``boot`` is the present boot's id."""
        return self.boot == boot != "" and _start_of(self.pid) == self.start

    def open(self, boot: str) -> int | None:
        """A descriptor (pidfd) that stands for this process alone; None when it is gone."""
        try:
            fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        # Looked at after opening: the number cannot have changed its owner since.
        if self.alive(boot):
            return fd
        os.close(fd)
        return None

    def send(self, number: signal.Signals, boot: str) -> bool:
        """Send a signal; False when the process is gone."""
        fd = self.open(boot)
        if fd is None:
            return False
        try:
            signal.pidfd_send_signal(fd, number)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(fd)

    def wait(self, boot: str, seconds: float) -> bool:
        """Wait until it has ended; False when it still runs after ``seconds``."""
        fd = self.open(boot)
        if fd is None:
            return True
        try:
            return bool(select.select([fd], [], [], max(0.0, seconds))[0])
        finally:
            os.close(fd)


def process(pid: int, boot: str) -> Process | None:
    """A process of this machine by its number; None when there is none."""
    start = _start_of(pid)
    return None if start is None else Process(pid=pid, start=start, boot=boot)


def terminate_children(parent: Process, boot: str) -> int:
    """SIGTERM to the processes right below ``parent``; how many got it."""
    count = 0
    for pid in _children(parent.pid):
        child = process(pid, boot)
        if child is not None and _parent_of(pid) == parent.pid and parent.alive(boot):
            count += child.send(signal.SIGTERM, boot)
    return count


def await_init(parent: Process, boot: str, seconds: float) -> bool:
    """Wait until the sandbox's init has started its command; False when that never came.

    Until then it is still setting its namespaces up. The command is a process below it that
    runs another program than the launcher.
    """
    deadline = time.monotonic() + seconds
    while parent.alive(boot):
        if runs_command(parent):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return False


def runs_command(parent: Process) -> bool | None:
    """Whether a sandbox's init has started its command; None where it may not be looked at."""
    try:
        os.stat(f"/proc/{parent.pid}/exe")
    except PermissionError:
        return None
    except OSError:
        return False  # it is ending
    own = _program(parent.pid)
    return own is not None and any(
        _program(pid) not in (None, own) for pid in _children(parent.pid)
    )


def _program(pid: int) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        status = os.stat(f"/proc/{pid}/exe")
        return status.st_dev, status.st_ino
    return None


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError, ValueError):
                with open(f"/proc/{pid}/task/{thread}/children", "rb") as stream:
                    found += map(int, stream.read().split())
    return found


def _fields(pid: int) -> list[bytes]:
    """The fields of stat behind the name, which may hold anything."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/stat", "rb") as stream:
            return stream.read().rpartition(b")")[2].split()
    return []


def _start_of(pid: int) -> int | None:
    """None for a process that is gone or was only not waited for yet."""
    fields = _fields(pid)
    return int(fields[19]) if len(fields) > 19 and fields[0] not in (b"Z", b"X") else None


def _parent_of(pid: int) -> int | None:
    fields = _fields(pid)
    return int(fields[1]) if len(fields) > 1 else None


def boot_id() -> str:
    """The kernel's id of this boot (proc(5)); empty where it cannot be read."""
    with contextlib.suppress(OSError):
        with open("/proc/sys/kernel/random/boot_id") as stream:
            return stream.read().strip()
    return ""
