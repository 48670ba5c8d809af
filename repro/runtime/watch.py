"""A started sandbox as processes of ours: its reports, its end, what it used, and no remains.

The launcher (our child) ends before the sandbox's init, which then becomes our child when
this process is a subreaper. When the init is gone, the kernel has ended every process of
its pid namespace (pid_namespaces(7)).
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import time
from collections.abc import Callable

from repro.primitives.process import wait_for

_MAX_WAIT = 2**31 - 1  # poll(2) counts milliseconds in an int
_LAST_WORDS = 5.0  # seconds for a killed launcher to be gone


class Watch:
    """One start: ``pid`` is the launcher, ``status`` the read end of its JSON reports.

    Use as a context manager: an exception, an interruption too, ends everything first.
    """

    def __init__(self, pid: int, status: int, *, own_group: bool) -> None:
        self._pid = pid
        self._status = status
        self._own_group = own_group
        self._said = b""
        self._init: int | None = None
        self._init_fd: int | None = None
        self._ended: tuple[int, resource.struct_rusage] | None = None
        self._moved: tuple[int, int] | None = None

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is not None:
                self.kill()
                self.reap()
        finally:
            if self._init_fd is not None:
                os.close(self._init_fd)

    def started(self) -> bool:
        """Wait until there is an init; False when the launcher ended without making one."""
        while b"\n" not in self._said:
            piece = os.read(self._status, 4096)
            if not piece:
                return False
            self._said += piece
        return self._learn_init()

    def _learn_init(self) -> bool:
        self._init = self._reported("child-pid")
        if self._init is not None:
            with contextlib.suppress(ProcessLookupError):
                self._init_fd = os.pidfd_open(self._init)
        return self._init is not None

    @property
    def init(self) -> int | None:
        """The sandbox's first process, as this machine numbers it; known once ``started``."""
        return self._init

    def ended(
        self, deadline: float | None, look: Callable[[], bool] | None = None, every: float = 0.1
    ) -> bool:
        """Wait until the launcher has ended (it is not reaped); False at ``deadline``.

        ``deadline`` is a value of time.monotonic(). ``look`` is called ``every`` so many
        seconds; False as well when it says that it is enough.
        """
        fd = os.pidfd_open(self._pid)
        try:
            while look is not None:
                pause = time.monotonic() + every
                if deadline is not None and deadline <= pause:
                    break
                if _wait_for(fd, pause):
                    return True
                if look():
                    return False
            return _wait_for(fd, deadline)
        finally:
            os.close(fd)

    def kill(self) -> None:
        """Kill the init first: the kernel then ends every process of its namespace."""
        self._kill_init()
        if self._ended is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._pid, signal.SIGKILL)
            end_group(self._pid)
            if self._init is None:
                self._kill_unheard()

    def _kill_unheard(self) -> None:
        """An interruption came before we heard of the init: the launcher may have named it."""
        with contextlib.suppress(ProcessLookupError):
            fd = os.pidfd_open(self._pid)
            try:
                _wait_for(fd, time.monotonic() + _LAST_WORDS)
            finally:
                os.close(fd)
        self._hear()
        if self._learn_init():
            self._kill_init()

    def _kill_init(self) -> None:
        if self._init_fd is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(self._init_fd, signal.SIGKILL)

    @property
    def moved(self) -> tuple[int, int] | None:
        """After ``reap``: bytes that were read and written inside; None where not counted."""
        return self._moved

    def reap(self) -> tuple[int, resource.struct_rusage, resource.struct_rusage | None]:
        """Wait until launcher and init are gone: the launcher's status, what each used.

        The init's usage counts its namespace; the peak is that of the largest process.
        None when the init was not ours to wait for.
        """
        if self._ended is None:
            _, status, usage = os.wait4(self._pid, 0)
            self._ended = os.waitstatus_to_exitcode(status), usage
        # The init waits for what the command left behind; with the launcher the run is over.
        self._kill_init()
        inner = None
        if self._init is not None:
            with contextlib.suppress(ChildProcessError):
                waited = wait_for(self._init)
                inner, self._moved = waited.usage, waited.moved
        if self._init_fd is not None:
            _wait_for(self._init_fd, None)
        if self._own_group:
            # A launcher that was killed while it started left a child that it never named.
            with contextlib.suppress(ChildProcessError):
                while True:
                    os.waitpid(-self._pid, 0)
        return (*self._ended, inner)

    def executed(self) -> bool:
        """After ``reap``: whether the command itself was started (bwrap reports its status)."""
        self._hear()
        return self._reported("exit-code") is not None

    def _hear(self) -> None:
        """What the launcher has reported by now."""
        os.set_blocking(self._status, False)
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._status, 4096):
                self._said += piece

    def await_report(self, key: str, deadline: float | None = None) -> int | None:
        """Wait until this is reported; None when all ended without it, or at ``deadline``."""
        while self._reported(key) is None:
            if not _wait_for(self._status, deadline):
                return None
            piece = os.read(self._status, 4096)
            if not piece:
                return None
            self._said += piece
        return self._reported(key)

    def figure(self, key: str) -> float | None:
        """A number of the reports so far (``executed`` reads the last); None without it."""
        for line in self._said.splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                return float(json.loads(line)[key])
        return None

    def failure(self) -> tuple[str, int] | None:
        """The stage at which a carrier stopped, and the errno (0 when there is none)."""
        for line in self._said.splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                said = json.loads(line)
                return str(said["failed"]), int(said["errno"])
        return None

    def _reported(self, key: str) -> int | None:
        found = self.figure(key)
        return None if found is None else int(found)


def end_group(pid: int) -> None:
    """Kill the process group that ``pid`` leads, unless it is our own or there is none."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getpgid(0) != pid:
            os.killpg(pid, signal.SIGKILL)


def _wait_for(fd: int, deadline: float | None) -> bool:
    """Wait until the process of a pidfd has ended (pidfd_open(2)), or a pipe has something to
    say; False at ``deadline``."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    while True:
        left = None
        if deadline is not None:
            left = min(float(_MAX_WAIT), max(0.0, (deadline - time.monotonic()) * 1000 + 1))
        if poller.poll(None if left is None else int(left)):
            return True
        if deadline is not None and time.monotonic() >= deadline:
            return False
