"""Calls in forked processes: each with an interpreter lock of its own, nothing to be sent in.

What a call needs is there by the fork; its value, its error and what it tells meanwhile come
back through a socket.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import signal
import socket
import struct
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

Tell = Callable[[Any], None]
"""Sends something picklable to the parent while a call works."""

INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends repro from outside."""

_NUMBER = struct.Struct("<I")
_LONGEST = 1 << 17  # below what a socket takes at once


class Ended(Exception):
    """A process did not end its work (killed: out of memory, for one)."""


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """INTERRUPTIONS wait until the block is left."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTIONS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def fork() -> int:
    """os.fork() that no interruption falls into; in the child they stay blocked.

    A handler that raises while the library's own hooks of fork run is ignored by Python:
    the interruption would be lost. In the child it would unwind its parent's work.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTIONS)
    try:
        pid = os.fork()
    except OSError:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def let_interruptions_end_it() -> None:
    """In a child of ``fork``: signals do again what they do to any program."""
    # All of them: a shell's background job, for one, ignores SIGQUIT.
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTIONS)


def alone() -> bool:
    """Whether this process has one thread: one that is forked holds no lock of another's."""
    return len(os.listdir("/proc/self/task")) == 1


def in_processes(
    calls: Sequence[Callable[[Tell], T]],
    most: int,
    heard: Callable[[int, Any], None],
    came: Callable[[int, T], None] = lambda number, value: None,
) -> list[T]:
    """The values in order; calls begin in their order (some thousands of them at most), at
    most ``most`` at once.

    To be used only where ``alone()``. ``heard`` gets the number of a call and what it tells,
    ``came`` its number and value as soon as it ends. The first error ends all processes and is
    raised here; however this call is left, none stays. Raises Ended, and OSError where no process can be made.
    """
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    work, offered = os.pipe()
    pids: list[int] = []
    try:
        os.write(offered, b"".join(map(_NUMBER.pack, range(len(calls)))))
        os.close(offered)
        with uninterrupted():
            for _ in range(min(most, len(calls))):
                pid = fork()
                if pid == 0:
                    near.close()  # else nobody would notice that the parent is gone
                    _work(calls, work, far)
                pids.append(pid)
        far.close()
        found = _values(near, heard, came)
        if len(found) < len(calls):
            raise Ended("a process was ended in the middle of its work")
        return [found[number] for number in range(len(calls))]
    finally:
        for pid in pids:
            # None was waited for yet, so the numbers are nobody else's.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(work)
        near.close()
        far.close()


def _values(
    near: socket.socket, heard: Callable[[int, Any], None], came: Callable[[int, Any], None]
) -> dict[int, Any]:
    """What the calls gave, up to the end of the last process."""
    found: dict[int, Any] = {}
    # Each message is whole: the socket keeps their bounds.
    while data := near.recv(_LONGEST):
        number, kind, thing = pickle.loads(data)  # noqa: S301  from our own child
        if kind == "told":
            heard(number, thing)
        elif kind == "value":
            found[number] = thing
            came(number, thing)
        else:
            error, trace = thing
            raise error from _Elsewhere(trace)
    return found


class _Elsewhere(Exception):
    """Where an error came from in the other process, for who looks for a bug."""


def _work(calls: Sequence[Callable[[Tell], Any]], work: int, far: socket.socket) -> NoReturn:
    """A child: one call after the other, as long as any is left."""
    try:
        let_interruptions_end_it()
        gc.freeze()  # a search through what the parent left would copy all of its memory
        while record := os.read(work, _NUMBER.size):
            (number,) = _NUMBER.unpack(record)
            try:
                value = calls[number](
                    lambda thing, number=number: _send(far, number, "told", thing)
                )
            except BaseException as error:
                _send_error(far, number, error)
                break
            _send(far, number, "value", value)
    finally:
        os._exit(0)


def _send(far: socket.socket, number: int, kind: str, thing: object) -> None:
    far.send(pickle.dumps((number, kind, thing)))


def _send_error(far: socket.socket, number: int, error: BaseException) -> None:
    trace = "".join(traceback.format_exception(error))[-_LONGEST // 4 :]
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301
        _send(far, number, "error", (error, trace))
    except Exception:  # it cannot travel, or is too long
        _send(far, number, "error", (Ended(repr(error)[:1000]), trace))
