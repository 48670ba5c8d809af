"""Run a trusted program of the host to its end: environment, time limit, output."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence

from repro.primitives.frozen import frozen

_PR_SET_CHILD_SUBREAPER, _PR_GET_CHILD_SUBREAPER = 36, 37


@frozen
class Finished:
    """How a command ended; ``exit`` is 127 when it could not be started, 124 on time-out."""

    exit: int
    stdout: bytes
    stderr: bytes


def run(
    argv: Sequence[str], *, cwd: str, environment: Mapping[str, str], timeout: float
) -> Finished:
    """Run ``argv`` (no shell) with an empty stdin; never raises for what the command does."""
    try:
        done = subprocess.run(
            list(argv),
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Finished(exit=124, stdout=b"", stderr=b"time limit")
    except OSError as error:
        return Finished(exit=127, stdout=b"", stderr=str(error).encode())
    return Finished(exit=done.returncode, stdout=done.stdout, stderr=done.stderr)


@frozen
class Waited:
    """How a child ended: its wait status, what it used with all that it waited for itself.

    ``moved`` are bytes read and written (``rchar`` and ``wchar`` of proc(5)), None where the
    kernel does not count.
    """

    status: int
    usage: resource.struct_rusage
    moved: tuple[int, int] | None


def wait_for(pid: int) -> Waited:
    """Wait until a child has ended, and reap it. Raises ChildProcessError.

    With the status a parent inherits the child's counts (wait(2)): the difference of our own
    is the child's, whoever may look into its /proc. What other threads of ours move in that
    moment is in it.
    """
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    before = _own_counts()
    _, status, usage = os.wait4(pid, 0)
    after = _own_counts()
    moved = None
    if before is not None and after is not None:
        moved = after[0] - before[0] - before[2], after[1] - before[1]
    return Waited(status=status, usage=usage, moved=moved)


def _own_counts() -> tuple[int, int, int] | None:
    """Bytes that this process and the children it waited for read and wrote; bytes of this look."""
    try:
        fd = os.open("/proc/self/io", os.O_RDONLY | os.O_CLOEXEC)
        try:
            said = os.read(fd, 4096)
        finally:
            os.close(fd)
        fields = dict(line.split(b": ", 1) for line in said.splitlines())
        return int(fields[b"rchar"]), int(fields[b"wchar"]), len(said)
    except (OSError, ValueError, KeyError):
        return None


class _Claims:
    """How many threads want this process to be a subreaper, and what it was before."""

    lock = threading.Lock()
    count = 0
    before = 0


@contextlib.contextmanager
def subreaper() -> Iterator[None]:
    """Orphans of this process's descendants become its children meanwhile (prctl(2)).

    The setting belongs to the process: the last of several threads puts it back.
    """
    import ctypes  # not before it is needed: docs/decisions/0005

    libc = ctypes.CDLL(None, use_errno=True)
    with _Claims.lock:
        if _Claims.count == 0:
            now = ctypes.c_int()
            libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(now), 0, 0, 0)
            _Claims.before = now.value
            libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        _Claims.count += 1
    try:
        yield
    finally:
        with _Claims.lock:
            _Claims.count -= 1
            if _Claims.count == 0:
                libc.prctl(_PR_SET_CHILD_SUBREAPER, _Claims.before, 0, 0, 0)


@contextlib.contextmanager
def no_signal_ignored() -> Iterator[None]:
    """Programs started meanwhile ignore no signal because our caller did (nohup, a shell's ``&``).

    An ignored signal stays ignored through execve(2), a caught one does not: each ignored one
    is caught for that long, and nothing done. Does nothing outside the main thread, where
    Python sets no handlers.
    """
    ignored = []
    if threading.current_thread() is threading.main_thread():
        numbers = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
        ignored = [n for n in sorted(numbers) if signal.getsignal(n) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def waitable_children() -> Iterator[None]:
    """The end of children can be waited for, also when our caller had SIGCHLD ignored.

    An ignored SIGCHLD is inherited through execve(2) and makes the kernel drop the status of
    every child. Does nothing outside the main thread, where Python sets no handlers.
    """
    ignored = signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
    if not ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
