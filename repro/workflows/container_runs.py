"""``repro container start``, ``exec`` and ``stop``: what runs over a container's layer.

A run in the background has a watcher: a process without a terminal that waits for the sandbox
and writes its end down. The sandbox dies with it (``--die-with-parent``, bubblewrap(1)).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from repro.container.background import detach
from repro.container.processes import (
    await_init,
    boot_id,
    process,
    runs_command,
    terminate_children,
)
from repro.container.shelf import Hold, Place
from repro.container.state import Holder, Run
from repro.errors import Interrupted, ReproError, RunFailed, RuntimeUnavailable, UsageError
from repro.model.ports import JoinRequest, SandboxResult
from repro.model.step import Step
from repro.primitives.events import Event, EventKind, Observer, silent
from repro.primitives.frozen import frozen, replace
from repro.primitives.texts import printable
from repro.runtime.base import Runtime
from repro.runtime.choose import choose
from repro.store.cache import Cache
from repro.workflows.containers import Opened, kill, opened, shelf, size_of
from repro.workflows.places import cache_root, proofs
from repro.workflows.rerun import Terms, recorded_stdin, step_request
from repro.workflows.verify import seal_text

_PATIENCE = 30.0  # seconds until a started sandbox runs its command
_ENDING = 10.0
_PAUSE = 0.05
_GLANCE = 0.01


@frozen
class Started:
    """A run in the background, and where its part of the log begins."""

    place: Place
    watcher: int
    log_from: int


@frozen
class ExecRequest:
    """A command in a container; ``cwd`` None is the project's folder inside."""

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str]
    cwd: str | None = None
    stdin: int | None = None
    stdout: int = 1
    stderr: int = 2


@frozen
class Executed:
    """How it ended. ``joined`` tells whether it ran inside the running sandbox (the same files,
    processes, network) or in one of its own over the same layer."""

    exit: int
    joined: bool
    reached: str | None


class _Job:
    """What a watcher does: the steps one after another, each in a sandbox over one layer."""

    def __init__(
        self,
        found: Opened,
        hold: Hold,
        sandbox: Runtime,
        layers: Sequence[Path],
        command: tuple[str, ...] | None,
        now: Callable[[], str],
    ) -> None:
        self.found, self.hold, self.sandbox = found, hold, sandbox
        self.layers = [str(layer) for layer in layers]
        self.boot = boot_id()
        claims = found.recording.claims
        self.steps = claims.steps if command is None else (_own_step(command),)
        self.now = now
        self.run = Run(began=now(), command=command)
        self._tell: Callable[[dict[str, Any]], None] = lambda said: None

    def watch(self, report: int) -> None:
        """In the background: ``report`` is a pipe to the one who waits for the start."""
        self._tell = lambda said: _say(report, said)
        self.hold.begin("run", self.boot)
        self._write(self.run)
        end: dict[str, Any] = {}
        said: dict[str, Any] = {"ended": True}
        try:
            end = self._all()
        except ReproError as error:
            said = {"error": error.to_json()}
            end = {"exit": None, "error": error.message}
        except Interrupted as ending:
            end = {"exit": None, "error": str(ending).partition(";")[0]}
        except BaseException as error:
            end = {"exit": None, "error": f"{type(error).__name__}: {error}"}
            raise
        finally:
            self._write(replace(self.run, ended=self.now(), **end))
            self.hold.end()
            self._tell(said)

    def _all(self) -> dict[str, Any]:
        result = None
        for step in self.steps:
            if self.found.place.asked_to_stop.exists():
                break
            self.run = replace(self.run, step=step.name)
            self._write(self.run)
            result = self._one(step)
            if result.exit != 0 or result.timed_out:
                break
        if result is None:
            return {"exit": None, "error": "stopped before it began"}
        late = "it ran longer than its recorded time limit" if result.timed_out else None
        return {"exit": result.exit, "reached": result.reached, "error": late}

    def _one(self, step: Step) -> SandboxResult:
        container, claims = self.found.container, self.found.recording.claims
        terms = Terms(network=container.network, limits=container.limits)
        with recorded_stdin(self.layers, step) as stdin:
            request = step_request(
                self.layers, claims, step, self.found.place.folder, terms,
                stdin=stdin, stdout=1, stderr=2,
            )  # fmt: skip
            return self.sandbox.run(replace(request, started=self._started))

    def _started(self, pid: int) -> None:
        self.hold.started(pid, self.boot)
        self._tell({"watcher": os.getpid(), "init": pid})

    def _write(self, run: Run) -> None:
        self.found.place.write_run(run)


def start(
    environ: Mapping[str, str],
    name: str,
    command: tuple[str, ...],
    now: Callable[[], str],
    observer: Observer = silent,
) -> Started:
    """Run the recorded steps (or ``command``) in the background; back when the first runs.

    ``now`` tells the time for the state, as ISO 8601 text. Raises UsageError when something
    runs over the layer already, and what a run raises: also that its program is not there.
    """
    with _held(environ, name) as (found, hold):
        sandbox, layers = _engine(found, environ, observer)
        place = found.place
        place.asked_to_stop.unlink(missing_ok=True)
        log_from = size_of(place.log)
        job = _Job(found, hold, sandbox, layers, command or None, now)
        answer, report = os.pipe()
        try:
            detach(lambda: job.watch(report), place.log)
            os.close(report)
            report = -1
            said = _Answers(answer).until_it_runs()
        finally:
            os.close(answer)
            if report >= 0:
                os.close(report)
        hold.release()
    if "watcher" not in said:
        raise _not_started(said, place)
    return Started(place=place, watcher=int(said["watcher"]), log_from=log_from)


def execute(request: ExecRequest, observer: Observer = silent) -> Executed:
    """Run a command in a container, joining its sandbox when one runs.

    Raises UsageError when there is no such container, RerunFailed when the command cannot
    be started, RuntimeUnavailable.
    """
    kept, boot = shelf(request.environ), boot_id()
    place = kept.find(request.name)
    hold = kept.hold(place, boot)
    if hold is None:
        return _join(request, place, boot)
    try:
        with opened(place) as found:
            sandbox, layers = _engine(found, request.environ, observer)
            hold.begin("exec", boot)
            container, claims = found.container, found.recording.claims
            asked = step_request(
                [str(layer) for layer in layers], claims, _own_step(request.command),
                place.folder, Terms(network=container.network, limits=container.limits),
                stdin=request.stdin, stdout=request.stdout, stderr=request.stderr,
            )  # fmt: skip
            result = sandbox.run(
                replace(
                    asked,
                    cwd=request.cwd or claims.root,
                    started=lambda pid: hold.started(pid, boot),
                )
            )
            return Executed(exit=result.exit, joined=False, reached=result.reached)
    finally:
        hold.end()


def _join(request: ExecRequest, place: Place, boot: str) -> Executed:
    holder = running(place, boot)
    with opened(place) as found:
        claims = found.recording.claims
        sandbox = choose(found.container.engine, proofs(request.environ))
        assert holder.init is not None
        result = sandbox.join(
            JoinRequest(
                init=holder.init.pid,
                argv=request.command,
                environment=claims.environment,
                cwd=request.cwd or claims.root,
                stdin=request.stdin,
                stdout=request.stdout,
                stderr=request.stderr,
                upper=str(place.upper),
                limits=found.container.limits.over(claims.limits),
            )
        )
    return Executed(exit=result.exit, joined=True, reached=result.reached)


def running(place: Place, boot: str) -> Holder:
    """Who holds the layer, once its sandbox runs a command (between two steps none does).

    Raises RuntimeUnavailable when nothing runs.
    """
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        holder = place.holder(boot)
        if holder is None:
            break
        if holder.init is not None and await_init(holder.init, boot, _PATIENCE):
            return holder
        time.sleep(_PAUSE)
    raise RuntimeUnavailable(
        f"what runs in {place.folder.name} ended meanwhile, or has not begun",
        hint="try again",
        slug="container-join",
    )


def stop(environ: Mapping[str, str], name: str, seconds: float) -> bool:
    """SIGTERM to the command, SIGKILL to all after ``seconds``; False when nothing ran.

    No further step begins. Raises UsageError when there is no such container.
    """
    place, boot = shelf(environ).find(name), boot_id()
    holder = place.holder(boot)
    if holder is None:
        return False
    place.asked_to_stop.touch()
    deadline = time.monotonic() + seconds
    if holder.init is not None and await_init(holder.init, boot, min(seconds, _PATIENCE)):
        terminate_children(holder.init, boot)
    if not holder.watcher.wait(boot, deadline - time.monotonic()):
        kill(place, boot)
    return True


def wait(started: Started, follow: Callable[[bytes], None]) -> int:
    """Give ``follow`` what the run writes until it ends; its exit status.

    An interruption stops the run first. Raises RunFailed when it has no exit status.
    """
    place, boot = started.place, boot_id()
    position = started.log_from
    try:
        while True:
            over = place.holder(boot) is None
            position = _pass_on(place.log, position, follow)
            if over:
                break
            time.sleep(_PAUSE)
    except BaseException:
        holder = place.holder(boot)
        if holder is not None and holder.watcher.pid == started.watcher:
            kill(place, boot)
        raise
    run = place.run()
    if run is None or run.exit is None:
        why = run.error if run is not None and run.error else "its watcher was killed"
        raise RunFailed(
            f"the run in {place.folder.name} has no exit status: {printable(why)}",
            hint=f"repro container logs {place.folder.name}",
        )
    return run.exit


def follow_log(place: Place, position: int, follow: Callable[[bytes], None]) -> None:
    """Give ``follow`` what is written from ``position`` on until nothing runs any more."""
    boot = boot_id()
    while True:
        over = place.holder(boot) is None
        position = _pass_on(place.log, position, follow)
        if over:
            return
        time.sleep(_PAUSE)


def _pass_on(log: Path, position: int, follow: Callable[[bytes], None]) -> int:
    with contextlib.suppress(FileNotFoundError), log.open("rb") as stream:
        stream.seek(position)
        while data := stream.read(1 << 16):
            follow(data)
        return stream.tell()
    return position


@contextlib.contextmanager
def _held(environ: Mapping[str, str], name: str) -> Iterator[tuple[Opened, Hold]]:
    kept, boot = shelf(environ), boot_id()
    place = kept.find(name)
    hold = kept.hold(place, boot)
    if hold is None:
        holder = place.holder(boot)
        exec_ = holder is not None and holder.kind == "exec"
        what = "is in use by `repro container exec`" if exec_ else "is running already"
        raise UsageError(
            f"the container {name} {what}",
            hint=f"repro container exec {name} -- CMD runs beside it; stop {name} ends it",
            slug="container-running",
        )
    try:
        with opened(place) as found:
            yield found, hold
    finally:
        hold.release()


def _engine(
    found: Opened, environ: Mapping[str, str], observer: Observer
) -> tuple[Runtime, list[Path]]:
    container = found.container
    sandbox = choose(container.engine, proofs(environ))
    layers = Cache(cache_root(environ)).layers(found.archive, found.version, observer)
    limits = container.limits.over(found.recording.claims.limits)
    seal = sandbox.seal(container.network, limits)
    text = seal_text(seal, container.network)
    observer(Event(kind=EventKind.DONE, phase="sealed", text=text))
    return sandbox, layers


def _not_started(said: dict[str, Any], place: Place) -> ReproError:
    error = said.get("error")
    if not isinstance(error, dict):
        return RuntimeUnavailable(
            f"the container {place.folder.name} did not start",
            hint=f"repro container logs {place.folder.name} may say why",
            slug="container-start",
        )
    found = RunFailed if error.get("exit_code") == RunFailed.exit_code else RuntimeUnavailable
    return found(
        str(error.get("message")),
        hint=error.get("hint"),
        details=[str(line) for line in error.get("details") or ()],
        slug=str(error.get("slug")),
    )


class _Answers:
    """What the watcher says, line by line."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._heard = b""

    def until_it_runs(self) -> dict[str, Any]:
        """That the command runs, or has run; what went wrong; empty when it ended without a word.

        A launcher is there before it finds that the image has no such program.
        """
        said = self._next(None)
        pid, boot = said.get("init"), boot_id()
        init = process(pid, boot) if isinstance(pid, int) else None
        deadline = time.monotonic() + _PATIENCE
        while init is not None and init.alive(boot) and time.monotonic() < deadline:
            if runs_command(init) is not False:
                return said
            if more := self._next(_GLANCE):
                return said if "ended" in more else more
        if init is not None and init.alive(boot):
            return said
        more = self._next(None) if "watcher" in said else said
        return said if "ended" in more else more

    def _next(self, seconds: float | None) -> dict[str, Any]:
        """The next line; empty when none comes within ``seconds`` or the watcher has ended."""
        while b"\n" not in self._heard:
            if not select.select([self._fd], [], [], seconds)[0]:
                return {}
            if not (piece := os.read(self._fd, 1 << 16)):
                return {}
            self._heard += piece
        line, _, self._heard = self._heard.partition(b"\n")
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            return found if isinstance(found, dict) else {}
        return {}


def _say(fd: int, said: dict[str, Any]) -> None:
    # Who waited has heard what it waited for and may be gone.
    with contextlib.suppress(OSError):
        os.write(fd, json.dumps(said).encode() + b"\n")


def _own_step(command: tuple[str, ...]) -> Step:
    return Step(name=command[0], argv=command)
