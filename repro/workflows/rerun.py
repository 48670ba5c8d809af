"""Run recorded steps sealed, and collect what they wrote: self-test, verify and run share it."""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from repro.compare.sides import outputs_in
from repro.errors import RerunFailed
from repro.model.guise import AS_USUAL, Guise
from repro.model.limits import NO_LIMITS, Limits
from repro.model.ports import OutputFile, Sandbox, SandboxRequest
from repro.model.recording import Claims
from repro.model.step import Step, StepSeen
from repro.model.usage import Usage
from repro.primitives.events import Event, EventKind, Observer, silent
from repro.primitives.files import is_whiteout, open_inside, walk
from repro.primitives.frozen import field, frozen
from repro.primitives.texts import human_size, human_time, printable
from repro.project.detect import is_cache
from repro.project.globs import matches_any

_TAIL_BYTES = 16_384
_TAIL_LINES = 20


@frozen
class Rerun:
    """What a sealed rerun gave: how each step ended, and its outputs by project path."""

    steps: tuple[StepSeen, ...]
    produced: Mapping[str, OutputFile]
    notes: tuple[str, ...]
    folder: str

    @property
    def exit(self) -> int:
        """The exit status of the last step that ran."""
        return self.steps[-1].exit if self.steps else 0

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of all steps."""
        return sum(step.cost.wall for step in self.steps)

    @property
    def usage(self) -> Usage:
        """What all steps used."""
        return Usage.of(step.cost for step in self.steps)

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines of the last step."""
        return self.steps[-1].tail if self.steps else ()


@frozen
class Terms:
    """Under which terms steps run: ``timeout`` in seconds limits each one and replaces a
    recorded limit; ``limits`` stand before the recorded ones. ``variables`` stand before those
    of the recording; ``guise`` is how the machine looks."""

    timeout: float | None = None
    network: str = "none"
    limits: Limits = NO_LIMITS
    variables: Mapping[str, str] = field(default_factory=dict)
    guise: Guise = AS_USUAL


def rerun(
    sandbox: Sandbox,
    layers: Sequence[str],
    claims: Claims,
    folder: Path,
    terms: Terms,
    *,
    observer: Observer = silent,
) -> Rerun:
    """Run every step of ``claims`` in one thin writable layer below ``folder``.

    Stops at the first step that fails. Raises RuntimeUnavailable when the sandbox cannot start.
    """
    make_layer(folder)
    seen: list[StepSeen] = []
    for step in claims.steps:
        observer(Event(kind=EventKind.NOTE, phase="run", text=step_text(step)))
        seen.append(run_step(sandbox, layers, claims, step, folder, terms))
        if seen[-1].exit != 0:
            break
    produced, notes = collect(folder / "upper", claims)
    notes += tuple(_over_the_limit(seen, terms.limits.over(claims.limits).memory))
    return Rerun(steps=tuple(seen), produced=produced, notes=notes, folder=str(folder))


def _over_the_limit(steps: Sequence[StepSeen], memory: int | None) -> Iterator[str]:
    """Steps that used more memory than allowed and were not stopped: said, never silent.

    A run can end before a watchdog looks at it, and pages of files count in a peak alone.
    """
    for step in steps:
        peak = step.cost.peak_memory
        if memory is not None and peak is not None and peak > memory and step.reached is None:
            yield (
                f"step {printable(step.name, 60)!r} peaked at {human_size(peak)}, above its limit of "
                f"{human_size(memory)}, and ended before it was stopped (or by pages of files)"
            )


def make_layer(folder: Path) -> None:
    """The empty thin writable layer of a run below ``folder``."""
    (folder / "upper").mkdir()
    (folder / "work").mkdir()


def step_request(
    layers: Sequence[str],
    claims: Claims,
    step: Step,
    folder: Path,
    terms: Terms,
    *,
    stdout: int,
    stderr: int,
    stdin: int | None = None,
) -> SandboxRequest:
    """A step of a recording in the writable layer below ``folder``."""
    return SandboxRequest(
        layers=layers,
        upper=str(folder / "upper"),
        work=str(folder / "work"),
        argv=step.argv,
        environment={**claims.environment, **terms.variables},
        cwd=posixpath.normpath(posixpath.join(claims.root, step.cwd)),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        timeout=terms.timeout if terms.timeout is not None else step.timeout,
        network=terms.network,
        limits=terms.limits.over(claims.limits),
        guise=terms.guise,
    )


@contextlib.contextmanager
def recorded_stdin(layers: Sequence[str], step: Step) -> Iterator[int | None]:
    """The file that a step read as its standard input, out of the topmost layer that has it.

    No link is followed. Raises RerunFailed when no layer holds it.
    """
    if step.stdin is None:
        yield None
        return
    fd = None
    for layer in reversed(layers):
        folder = os.open(layer, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fd = open_inside(folder, step.stdin.lstrip("/"), os.O_RDONLY | os.O_NONBLOCK)
            break
        except OSError:
            continue
        finally:
            os.close(folder)
    try:
        if fd is None or not stat.S_ISREG(os.fstat(fd).st_mode):
            raise RerunFailed(
                f"step {printable(step.name, 60)!r} reads {printable(step.stdin)} as its stdin, "
                "and the archive does not hold it",
                hint="secrets and results do not travel: `repro inspect --left-out` says why",
                slug="stdin",
            )
        yield fd
    finally:
        if fd is not None:
            os.close(fd)


def run_step(
    sandbox: Sandbox,
    layers: Sequence[str],
    claims: Claims,
    step: Step,
    folder: Path,
    terms: Terms,
) -> StepSeen:
    """Run one step; its output goes to ``folder/log``, its last lines into the result."""
    log = folder / "log"
    with log.open("ab") as stream, recorded_stdin(layers, step) as stdin:
        start = stream.tell()
        request = step_request(
            layers,
            claims,
            step,
            folder,
            terms,
            stdout=stream.fileno(),
            stderr=stream.fileno(),
            stdin=stdin,
        )
        result = sandbox.run(request)
    return StepSeen(
        name=step.name,
        exit=result.exit,
        cost=result.cost,
        tail=_tail(log, start),
        timed_out=result.timed_out,
        reached=result.reached,
        time_limit=request.timeout,
    )


def collect(upper: Path, claims: Claims) -> tuple[dict[str, OutputFile], tuple[str, ...]]:
    """What the run left in the project, by path; links in the writable layer are not followed.

    With declared outputs only the recorded paths are looked at. Special files and paths
    that cannot be read are named in the notes.
    """
    notes: list[str] = []
    root_fd = os.open(upper, os.O_RDONLY | os.O_DIRECTORY)
    try:
        project_fd = open_inside(
            root_fd, claims.root.lstrip("/") or ".", os.O_RDONLY | os.O_DIRECTORY
        )
    except OSError as error:
        if error.errno == errno.ENOENT:
            return {}, ()
        raise RerunFailed(
            f"the rerun replaced its project folder {printable(claims.root)}: {error.strerror}"
        ) from None
    finally:
        os.close(root_fd)
    base = f"/proc/self/fd/{project_fd}"
    wanted = {output.path for output in claims.outputs} if claims.declared else None
    paths = []
    try:
        for path, status in walk(base):
            if is_cache(path) or matches_any(path, claims.exclude):
                continue
            if wanted is not None and path not in wanted:
                continue
            if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
                paths.append(path)
            elif not stat.S_ISDIR(status.st_mode) and not is_whiteout(status):
                notes.append(f"not compared: {printable(path)} is a special file")
        # The outputs hold the folder open by a descriptor of their own.
        return dict(outputs_in(base, paths)), tuple(notes)
    except OSError as error:
        raise RerunFailed(
            f"what the rerun wrote cannot be read: {printable(str(error.filename or ''))}: "
            f"{error.strerror}"
        ) from None
    finally:
        os.close(project_fd)


def step_text(step: Step) -> str:
    """A step for people: the notebook, or the command as it could be pasted."""
    if step.notebook is not None:
        return f"notebook {printable(step.notebook)}"
    words = step.argv[3:] if step.argv[:3] == ("sh", "-e", "-c") else step.argv
    return printable(" ".join(words), 100)


REACHED = {
    "memory": "needed more memory than its limit",
    "pids": "started more processes than its limit",
    "disk": "wrote more to the disk than its limit",
}
"""A limit by name -> how it ended a run, for people."""


_SIGNALS = 64  # signal(7); a status above belongs to the program alone


def how_it_ended(step: StepSeen) -> str:
    """The end of a step that failed, for people."""
    if step.timed_out:
        # The limit as it was given: what was measured may round to nothing.
        limit = step.cost.wall if step.time_limit is None else step.time_limit
        shown = f"{limit:g}s" if limit < 1 else human_time(limit)
        return f"ran longer than its time limit ({shown})"
    if step.reached is not None:
        return REACHED[step.reached]
    if 128 < step.exit <= 128 + _SIGNALS:
        return f"was ended by signal {step.exit - 128}"
    return f"exited with status {step.exit}"


def _tail(log: Path, start: int) -> tuple[str, ...]:
    with log.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(start, stream.tell() - _TAIL_BYTES))
        text = stream.read().decode("utf-8", "replace")
    return tuple(text.splitlines()[-_TAIL_LINES:])
