"""Several steps of a recording at once, each watched by a process of its own.

A process for each: orphans become children of their own recorder, so that it is known whose
they are and all of them can be ended; and no recorder waits for another's interpreter lock.
All see the project through one overlay, which is held for them.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from repro.errors import ProjectError, ReproError, RunFailed
from repro.model.step import Step, StepSeen
from repro.observe import kernel
from repro.observe.ledger import Ledger
from repro.observe.outside import Outside
from repro.observe.parts import Base, Part, written
from repro.observe.touches import Touched, Touches, earlier, mend, races, refuse_races
from repro.primitives.events import Event, EventKind, Observer
from repro.primitives.files import write_all
from repro.primitives.forked import fork, uninterrupted
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable

_PATIENCE = 20.0
_FAILED = b"!"


@frozen
class Stage:
    """What the recorders of all steps share. ``play`` runs one step to its end, noting into
    ``ledger`` and ``outside``, its output going to the callable; it may add to ``limits``."""

    root: str
    logs: str
    ledger: Ledger
    outside: Outside
    limits: list[str]
    play: Callable[[Step, Callable[[bytes], None] | None], StepSeen]
    on_output: Callable[[bytes], None] | None
    observer: Observer


def record_together(steps: Sequence[Step], jobs: int, stage: Stage) -> list[StepSeen]:
    """Run up to ``jobs`` steps at once, each after all that it needs; in the steps' order.

    As soon as one fails the others are ended: the failed one is then the last. Raises
    ProjectError when two steps that nothing orders depend on each other.
    """
    turn = _Turn(steps, jobs, stage)
    try:
        return turn.run()
    finally:
        turn.end()


@dataclass
class _Watched:
    """A step that runs, and the process that watches it."""

    number: int
    pid: int
    base: Base
    pipe: int
    data: bytearray = field(default_factory=bytearray)


class _Turn:
    def __init__(self, steps: Sequence[Step], jobs: int, stage: Stage) -> None:
        self._steps = steps
        self._jobs = jobs
        self._stage = stage
        self._before = earlier(steps)
        self._running: dict[int, _Watched] = {}
        self._parts: dict[int, Part] = {}
        self._selector = selectors.DefaultSelector()

    def run(self) -> list[StepSeen]:
        while len(self._parts) < len(self._steps):
            for number in self._ready():
                self._start(number)
            self._say()
            for watched in self._ended():
                failed = self._take(watched)
                if failed is not None:
                    return self._failed(watched.number, failed)
        refuse_races(self._steps, self._touched(), self._stage.ledger.remarks)
        return list(self._seen())

    def end(self) -> None:
        """Nobody is left afterwards, whatever happened."""
        for watched in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(watched.pid, signal.SIGTERM)
        deadline = time.monotonic() + _PATIENCE
        while self._running and time.monotonic() < deadline:
            for watched in self._ended(max(0.0, deadline - time.monotonic())):
                self._reap(watched)
                with contextlib.suppress(ValueError, KeyError):
                    self._parts[watched.number] = Part.read(bytes(watched.data))
        for watched in list(self._running.values()):
            os.kill(watched.pid, signal.SIGKILL)
            self._reap(watched)
        self._selector.close()

    def _ready(self) -> list[int]:
        free = self._jobs - len(self._running)
        waiting = (
            number
            for number, before in enumerate(self._before)
            if number not in self._parts
            and number not in self._running
            and before <= self._parts.keys()
        )
        return [number for number, _ in zip(waiting, range(free), strict=False)]

    def _start(self, number: int) -> None:
        base = Base.of(self._stage.ledger)
        pipe, telling = os.pipe()
        with uninterrupted():
            pid = fork()
            if pid == 0:
                os.close(pipe)
                self._watch(number, base, telling)
            self._running[number] = _Watched(number=number, pid=pid, base=base, pipe=pipe)
            self._selector.register(pipe, selectors.EVENT_READ, self._running[number])
        os.close(telling)

    def _watch(self, number: int, base: Base, telling: int) -> NoReturn:
        """In the forked process: run the step, tell what was seen of it."""
        stage, parent = self._stage, os.getppid()
        status = 1
        try:
            signal.signal(signal.SIGTERM, _ended_from_outside)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's goes to all: ours decides
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            kernel.die_with_parent(signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)
            stage.ledger.touches = Touches()
            seen = None
            with contextlib.suppress(_Ended), self._log(number) as log:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
                seen = stage.play(self._steps[number], log)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            write_all(
                telling, written(seen, stage.ledger, base, stage.outside, stage.limits, stage.root)
            )
            status = 0
        except BaseException as error:
            write_all(telling, _FAILED + json.dumps(_told(error)).encode("ascii"))
        finally:
            os._exit(status)

    @contextlib.contextmanager
    def _log(self, number: int) -> Iterator[Callable[[bytes], None] | None]:
        if self._stage.on_output is None:
            yield None
            return
        with open(self._log_path(number), "wb", buffering=0) as stream:
            yield lambda data: None if stream.write(data) else None

    def _log_path(self, number: int) -> str:
        return os.path.join(self._stage.logs, f"output-{number}")

    def _ended(self, timeout: float | None = None) -> list[_Watched]:
        """Those that have told all, of which there may be none within ``timeout`` seconds."""
        found = []
        for key, _ in self._selector.select(timeout):
            watched: _Watched = key.data
            piece = os.read(watched.pipe, 1 << 16)
            watched.data += piece
            if not piece:
                found.append(watched)
        return found

    def _reap(self, watched: _Watched) -> None:
        self._selector.unregister(watched.pipe)
        os.close(watched.pipe)
        os.waitpid(watched.pid, 0)
        del self._running[watched.number]

    def _take(self, watched: _Watched) -> StepSeen | None:
        """Note one that ended; what was seen of it when it failed."""
        name = printable(self._steps[watched.number].name, 60)
        self._reap(watched)
        self._show(watched.number)
        data = bytes(watched.data)
        if not data or data.startswith(_FAILED):
            raise _stray(name, data[1:])
        part = Part.read(data)
        self._parts[watched.number] = part
        if part.step is None:
            raise RunFailed(f"the recorder of step {name!r} was ended", slug="start-failed")
        part.add_to(self._stage.ledger, watched.base, self._stage.outside)
        self._stage.limits.extend(t for t in part.limits if t not in self._stage.limits)
        return part.step if part.step.exit != 0 else None

    def _show(self, number: int) -> None:
        """What the step printed, in one piece."""
        if self._stage.on_output is None:
            return
        with contextlib.suppress(FileNotFoundError), open(self._log_path(number), "rb") as stream:
            while data := stream.read(1 << 16):
                self._stage.on_output(data)

    def _failed(self, number: int, step: StepSeen) -> list[StepSeen]:
        """End the others; the failed one last. What may be the cause is remarked."""
        others = [self._steps[each].name for each in sorted(self._running)]
        self.end()
        remarks = self._stage.ledger.remarks
        if others:
            names = ", ".join(repr(printable(name, 60)) for name in others)
            text = f"{names} ran as {printable(step.name, 60)!r} failed, and {{}} ended"
            remarks[text.format("was" if len(others) == 1 else "were")] = None
        for race in races(self._steps, self._touched(), listings=False):
            if step.name in (race.writer, race.other):
                remarks[f"they ran at once, though {race.sentence()}: {mend(race)}"] = None
        return [*(seen for seen in self._seen() if seen is not step), step]

    def _seen(self) -> Iterator[StepSeen]:
        for number in sorted(self._parts):
            step = self._parts[number].step
            if step is not None:
                yield step

    def _touched(self) -> dict[int, Touched]:
        return {number: part.touched for number, part in self._parts.items()}

    def _say(self) -> None:
        names = " · ".join(printable(self._steps[n].name, 30) for n in sorted(self._running))
        self._stage.observer(Event(kind=EventKind.BEGIN, phase="run", text=names))


def _told(error: BaseException) -> dict[str, object]:
    if isinstance(error, ReproError):
        own = isinstance(error, ProjectError)
        return {**error.to_json(), "project": own}
    return {"message": f"{type(error).__name__}: {error}"}


def _stray(name: str, data: bytes) -> ReproError:
    """The error that a recorder ended with, as the recording without jobs would raise it."""
    if not data:
        return RunFailed(f"the recorder of step {name!r} was killed", slug="start-failed")
    told = json.loads(data)
    family = ProjectError if told.get("project") else RunFailed
    return family(
        f"step {name!r}: {told['message']}", hint=told.get("hint"),
        details=told.get("details", ()), slug=told.get("slug", "start-failed"),
    )  # fmt: skip


class _Ended(BaseException):
    """The recorder was told to end its step."""


def _ended_from_outside(number: int, _: object) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)
    raise _Ended
