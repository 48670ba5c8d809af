"""Start one observed program and see it to its end."""

from __future__ import annotations

import array
import contextlib
import os
import platform
import select
import signal
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from repro.errors import ProjectError, RunFailed
from repro.model.step import Cost, StepSeen
from repro.observe import children, kernel, overlay
from repro.observe.ledger import Ledger
from repro.observe.notifier import BeforeWrite, Notifier
from repro.primitives.forked import fork, let_interruptions_end_it
from repro.primitives.frozen import frozen
from repro.primitives.process import subreaper, wait_for

_GRACE = 2.0
_LONGEST_WAIT = 2**31 - 1  # milliseconds, poll(2)
_TAIL = 20


@frozen
class Launch:
    """One program to start.

    ``program`` is the absolute path, ``argv`` its arguments; ``overlay`` is (root, upper,
    work) or None; ``holder`` is the process whose overlay is joined instead, or None;
    ``notify`` installs the listener.
    """

    name: str
    program: str
    argv: tuple[str, ...]
    cwd: str
    environment: Mapping[str, str]
    notify: bool
    overlay: tuple[str, str, str] | None = None
    holder: int | None = None
    stdin: int | None = None
    timeout: float | None = None
    on_output: Callable[[bytes], None] | None = None
    before_write: BeforeWrite | None = None


@dataclass
class _Watch:
    """What the watching thread found out."""

    timed_out: bool = False
    leftover: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)
    bell: tuple[int, int] = field(default_factory=os.pipe)

    def ring(self) -> None:
        """Say that nobody of the run is left."""
        self.done.set()
        os.write(self.bell[1], b".")

    def close(self) -> None:
        for fd in self.bell:
            os.close(fd)


def launch(what: Launch, ledger: Ledger) -> StepSeen:
    """Run to the end, every process of it included; exit status 128+N for a signal.

    Programs that outlive the first one are given two seconds, then ended and named in
    ``ledger.remarks``. Raises RunFailed when the program cannot be started.
    """
    before = children.children_of(os.getpid())
    started = time.monotonic()
    with subreaper():
        try:
            child = _Child(what)
        except BaseException:
            children.end_all(before)
            raise
        output = _Output(child.output, what.on_output)
        watch = _Watch()
        watcher = threading.Thread(target=_watch, args=(child.pid, what.timeout, before, watch))
        watcher.start()
        try:
            _supervise(child, what, ledger, watch.bell[0])
            watch.done.wait()
            ended = wait_for(child.pid)
            status, usage = _status(ended.status), ended.usage
            if watch.timed_out and status == 0:
                status = 128 + signal.SIGKILL  # it ended as it was to be killed
        finally:
            children.end_all(before)
            watcher.join()
            watch.close()
            output.join()
            child.close()
    output.check()
    for name in watch.leftover:
        ledger.remarks[f"{name} outlived {what.name!r} and was ended after {_GRACE:g} s"] = None
    return StepSeen(
        name=what.name,
        exit=status,
        tail=output.tail(),
        timed_out=watch.timed_out,
        time_limit=what.timeout,
        cost=Cost(
            wall=time.monotonic() - started,
            cpu_user=usage.ru_utime,
            cpu_system=usage.ru_stime,
            peak_memory=usage.ru_maxrss * 1024,
            read=ended.moved[0] if ended.moved else None,
            written=ended.moved[1] if ended.moved else None,
        ),
    )


def _supervise(child: _Child, what: Launch, ledger: Ledger, bell: int) -> None:
    if child.listener is None:
        child.go()
        return
    notifier = Notifier(child.listener, platform.machine(), ledger, what.before_write)
    child.go()
    notifier.run(bell)
    for name, count in notifier.lost.items():
        ledger.remarks[
            f"{count} calls of {name} could not be read (a program that hides its memory?)"
        ] = None


class _Child:
    """The forked child up to its exec, and this side's descriptors."""

    def __init__(self, what: Launch) -> None:
        self.listener: int | None = None
        self._socket, theirs = socket.socketpair()
        errors, their_errors = os.pipe()
        self.output, their_output = os.pipe()
        stdin = what.stdin if what.stdin is not None else os.open(os.devnull, os.O_RDONLY)
        self.pid = fork()
        if self.pid == 0:
            # Its copies of our ends would hide from it that this process has died.
            self._socket.close()
            os.close(errors)
            os.close(self.output)
            _become(what, theirs, their_errors, their_output, stdin)
        theirs.close()
        os.close(their_errors)
        os.close(their_output)
        if what.stdin is None:
            os.close(stdin)
        self._errors = errors
        if what.notify:
            self.listener = self._receive()
        else:
            self._ready()

    def go(self) -> None:
        """Let the program start. Raises RunFailed when it cannot be executed."""
        with contextlib.suppress(BrokenPipeError):
            self._socket.send(b"g")

    def close(self) -> None:
        """Close what is open."""
        said = b""
        with contextlib.suppress(OSError):
            said = os.read(self._errors, 4096)
        os.close(self._errors)
        self._socket.close()
        if self.listener is not None:
            os.close(self.listener)
        if said:
            raise _start_failed(said)

    def _receive(self) -> int:
        _, extra, _, _ = self._socket.recvmsg(1, socket.CMSG_SPACE(4))
        if not extra:
            self._abort()
        (fd,) = struct.unpack("i", extra[0][2][:4])
        return int(fd)

    def _ready(self) -> None:
        if self._socket.recv(1) != b"R":
            self._abort()

    def _abort(self) -> None:
        said = os.read(self._errors, 4096)
        os.waitpid(self.pid, 0)
        os.close(self._errors)
        self._socket.close()
        raise _start_failed(said)


def _start_failed(said: bytes) -> RunFailed:
    return RunFailed(
        f"the program could not be started: {said.decode('utf-8', 'replace')}", slug="start-failed"
    )


def _become(what: Launch, talk: socket.socket, errors: int, output: int, stdin: int) -> None:
    """In the child: own session, overlay, listener, then the program. Never returns."""
    try:
        os.setsid()
        let_interruptions_end_it()
        os.dup2(stdin, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        _close_others({talk.fileno(), errors})
        if what.holder is not None:
            overlay.join(what.holder)
        elif what.overlay is not None:
            overlay.enter(*what.overlay)
        kernel.die_with_parent()
        os.chdir(what.cwd)
        environment = dict(what.environment)
        argv = list(what.argv)
        if what.notify:
            listener = kernel.install_listener()
            # Nothing that the filter notifies may be called from here to the parent's word.
            rights = array.array("i", [listener])
            talk.sendmsg([b"L"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            os.close(listener)
        else:
            talk.send(b"R")
        if talk.recv(1) == b"g":
            os.execve(what.program, argv, environment)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(errors, str(error).encode("utf-8", "replace")[:2000] or b"failed")
    os._exit(127)


def _close_others(keep: set[int]) -> None:
    """No descriptor that the caller's shell left open: the sealed rerun has none either."""
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        if number > 2 and number not in keep:
            with contextlib.suppress(OSError):
                os.close(number)


def _watch(pid: int, timeout: float | None, before: set[int], watch: _Watch) -> None:
    """End the run at its time limit, and what outlives its first program."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        watch.ring()
        return
    try:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        if not poller.poll(None if timeout is None else min(int(timeout * 1000), _LONGEST_WAIT)):
            watch.timed_out = True
            # The first program before its children: it must not see them fail and go on.
            below = children.descendants({pid}) - {pid}
            for victim in (pid, *below):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(victim, signal.SIGKILL)
            poller.poll()
        deadline = time.monotonic() + (0 if watch.timed_out else _GRACE)
        while (left := _left(before, pid)) and time.monotonic() < deadline:
            time.sleep(0.01)
        if left and not watch.timed_out:
            watch.leftover += sorted(
                {children.name_of(each) for each in children.descendants(left)}
            )
        for victim in children.descendants(left):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(victim, signal.SIGKILL)
    finally:
        os.close(fd)
        watch.ring()


def _left(before: set[int], pid: int) -> set[int]:
    """What still runs. The kernel's list may skip one as others end: "nothing" is confirmed."""
    found = children.running(children.strays(before) - {pid})
    if found:
        return found
    return children.running(children.children_by_parent(os.getpid()) - before - {pid})


def _status(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


class _Output:
    """Reads the program's stdout and stderr in a thread; keeps the last lines."""

    def __init__(self, fd: int, take: Callable[[bytes], None] | None) -> None:
        self._fd = fd
        self._take = take
        self._lines: deque[bytes] = deque(maxlen=_TAIL)
        self._rest = b""
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def join(self) -> None:
        self._thread.join(5)

    def check(self) -> None:
        """Raise what the taker raised: the program itself was read to its end all the same."""
        if self._failure is not None:
            raise self._failure

    def tail(self) -> tuple[str, ...]:
        lines = [*self._lines, *([self._rest] if self._rest else [])]
        return tuple(line.decode("utf-8", "replace") for line in lines[-_TAIL:])

    def _read(self) -> None:
        with os.fdopen(self._fd, "rb", buffering=0) as stream:
            while data := stream.read(65536):
                if self._take is not None and self._failure is None:
                    try:
                        self._take(data)
                    except BaseException as failure:
                        self._failure = failure
                parts = (self._rest + data).split(b"\n")
                self._rest = parts.pop()[-8192:]
                self._lines.extend(part[-2000:] for part in parts)


def program_places(word: str, cwd: str, environment: Mapping[str, str]) -> list[str]:
    """The absolute paths at which a command is looked for, in order (execvp(3))."""
    if "/" in word:
        folders = [""]
    else:
        folders = environment.get("PATH", "/usr/bin:/bin").split(":")
    return [os.path.normpath(os.path.join(cwd, folder, word)) for folder in folders]


def find_program(
    word: str, cwd: str, environment: Mapping[str, str], upper: str | None, root: str
) -> str:
    """The absolute path of a command: by PATH, or relative to ``cwd``.

    A program that an earlier step made lies in ``upper``. Raises ProjectError (slug
    ``command``) when there is none, or it cannot be executed.
    """
    found = None
    for path in program_places(word, cwd, environment):
        places = [path]
        if upper is not None and path.startswith(root + "/"):
            places.insert(0, os.path.join(upper, path[len(root) + 1 :]))
        for place in places:
            if os.path.isfile(place):
                if os.access(place, os.X_OK):
                    return path
                found = path
    if found is not None:
        raise ProjectError(
            f"{found} cannot be executed", hint=f"chmod +x {found}, or name its interpreter",
            slug="command",
        )  # fmt: skip
    hint = None
    if "/" not in word:
        hint = "check the spelling and your PATH"
        if os.path.isfile(os.path.join(cwd, word)):
            hint = f"a file of the folder is run as ./{word}, or by naming its interpreter"
    raise ProjectError(f"there is no command {word!r}", hint=hint, slug="command")
