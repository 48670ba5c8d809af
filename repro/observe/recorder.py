"""Record a run: which files it read and wrote, by which programs (observe.md)."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from repro.errors import ProjectError, RuntimeUnavailable
from repro.model.observation import Change, Observation
from repro.model.step import Step, StepSeen
from repro.observe import overlay, strace
from repro.observe.capture import SCRATCH, overlay_changes
from repro.observe.inplace import InPlace
from repro.observe.launch import Launch, find_program, launch, program_places
from repro.observe.ledger import Ledger
from repro.observe.outside import Outside
from repro.observe.probe import reason_against_notify
from repro.observe.together import Stage, record_together
from repro.primitives.events import Event, EventKind, Observer, silent
from repro.primitives.files import remove_tree
from repro.primitives.frozen import field, frozen, replace
from repro.primitives.texts import printable

_OTHERS = "what anybody else changed in the folder meanwhile counts as the run's doing"
_UNSEEN = "reads were not observed: the whole environment of the command is packed"


@frozen
class RecordRequest:
    """What to run, and where.

    ``root`` is the project's real absolute path; ``environment`` is exactly what the
    programs get; ``scratch`` an empty folder. ``hide`` are paths (relative to the root) of
    old results that the run must not see; ``seed`` files that it shall see. ``on_output``
    gets stdout and stderr as they come. ``jobs`` is how many steps may run at once: with
    more than one each waits for the steps that it needs alone, and its output comes at its end.
    """

    root: str
    steps: tuple[Step, ...]
    environment: Mapping[str, str]
    scratch: str
    hide: tuple[str, ...] = ()
    seed: Mapping[str, bytes] = field(default_factory=dict)
    tracer: str = "auto"
    capture: str = "auto"
    on_output: Callable[[bytes], None] | None = None
    jobs: int = 1


def record(request: RecordRequest, observer: Observer = silent) -> Observation:
    """Run the steps in order up to the first that fails; ``jobs`` of them at once.

    A failing step is no exception: look at ``steps[-1].exit``. Raises ProjectError when a
    command does not exist or steps at once depend on each other, RuntimeUnavailable when a demanded tracer or capture does not
    work here. Whatever is raised (Interrupted by a signal's handler too): the folder is
    then as it was and no process is left.
    """
    return _Session(request, observer).run()


class _Session:
    def __init__(self, request: RecordRequest, observer: Observer) -> None:
        self._request = request
        self._observer = observer
        self._limits: list[str] = []
        self._tracer = self._choose_tracer()
        self._scratch, overlaid = self._choose_capture()
        self._upper = os.path.join(self._scratch, "upper")
        self._work = os.path.join(self._scratch, "work")
        self._before = os.path.join(self._scratch, "before")
        os.mkdir(self._upper)
        kept = os.path.join(self._scratch, "outside")
        os.mkdir(kept)
        self._outside = Outside(request.root, kept)
        self._in_place: InPlace | None = None
        self._holder: int | None = None
        self._copied: Mapping[str, overlay.Stamp] = {}
        if overlaid:
            os.mkdir(self._work)
        else:
            os.mkdir(self._before)
            self._in_place = InPlace(request.root, self._before, request.hide, request.seed)
        self._ledger = Ledger(
            hidden=frozenset(os.path.join(request.root, path) for path in request.hide),
            seeded=frozenset(os.path.join(request.root, path) for path in request.seed),
            user=os.geteuid(),
        )
        if self._in_place is not None and self._tracer != "notify":
            # Looked at after the run: only the copies tell what was there before it.
            self._ledger.seen_before = self._in_place.seen_before

    def run(self) -> Observation:
        self._check_commands()
        try:
            self._prepare()
            steps = self._steps()
            changes = self._changes()
        except BaseException:
            if self._in_place is not None:
                self._in_place.undo()
            remove_tree(Path(self._scratch))
            raise
        if self._in_place is None:
            remove_tree(Path(self._work))
        else:
            self._limits += self._in_place.trouble
        self._limits += [*self._outside.trouble, *self._ledger.remarks]
        return Observation(
            tracer=self._tracer,
            capture="overlay" if self._in_place is None else "in-place",
            steps=tuple(steps),
            processes=tuple(self._ledger.programs),
            accesses=self._ledger.accesses(),
            connections=self._ledger.seen_connections(),
            changes=tuple(changes),
            limits=tuple(dict.fromkeys(self._limits)),
            upper=self._upper,
            before=None if self._in_place is None else self._before,
            outside=self._outside.changed(),
        )

    def _check_commands(self) -> None:
        """Every command there is, before anything runs; what a step may yet make excepted."""
        request = self._request
        inside = request.root + "/"
        for number, step in enumerate(request.steps):
            cwd = self._cwd(step)
            places = program_places(step.argv[0], cwd, request.environment)
            if number and any(place.startswith(inside) for place in places):
                continue
            try:
                find_program(step.argv[0], cwd, request.environment, None, request.root)
            except ProjectError:
                remove_tree(Path(self._scratch))
                raise

    def _prepare(self) -> None:
        request = self._request
        if self._in_place is None:
            self._copied = overlay.prepare(request.root, self._upper, request.hide, request.seed)
        else:
            self._in_place.begin(copy_all=self._tracer != "notify")

    def _steps(self) -> list[StepSeen]:
        if self._at_once():
            return self._together()
        seen: list[StepSeen] = []
        for step in self._request.steps:
            text = printable(" ".join(step.argv), 60)
            self._observer(Event(kind=EventKind.BEGIN, phase="run", text=text))
            seen.append(self._step(step, self._request.on_output))
            if seen[-1].exit != 0:
                break
        return seen

    def _at_once(self) -> bool:
        request = self._request
        if request.jobs < 2 or len(request.steps) < 2:
            return False
        if self._in_place is not None:
            self._limits.append("the steps ran one after the other: at once needs an overlay")
        elif self._tracer == "none":
            self._limits.append(
                "the steps ran one after the other: without a tracer nobody would see what one "
                "reads of another that runs"
            )
        else:
            return True
        return False

    def _together(self) -> list[StepSeen]:
        request = self._request
        stage = Stage(
            root=request.root, logs=self._scratch, ledger=self._ledger, outside=self._outside,
            limits=self._limits, play=self._step, on_output=request.on_output,
            observer=self._observer,
        )  # fmt: skip
        with overlay.held(request.root, self._upper, self._work) as self._holder:
            return record_together(request.steps, request.jobs, stage)

    def _step(self, step: Step, on_output: Callable[[bytes], None] | None) -> StepSeen:
        request = self._request
        self._ledger.step = step.name
        cwd = self._cwd(step)
        inside = self._upper if self._in_place is None else None
        program = find_program(step.argv[0], cwd, request.environment, inside, request.root)
        if self._tracer == "none":
            self._ledger.started(program, step.argv, cwd)
        argv = step.argv
        log = os.path.join(self._scratch, f"strace-{os.getpid()}.log")
        if self._tracer == "strace":
            path = request.environment.get("PATH", "/usr/bin:/bin")
            tool = strace.find_strace(path) or strace.find_strace("/usr/bin:/bin")
            assert tool is not None
            argv = tuple(strace.command(tool, log, program, step.argv))
        with self._stdin(step) as stdin:
            result = self._launch(step, program, argv, cwd, stdin, on_output)
        if self._tracer == "strace":
            self._read_strace(Path(log), cwd)
            # What strace used itself is in these figures: they would say nothing.
            cost = replace(result.cost, cpu_user=None, cpu_system=None, read=None, written=None)
            result = replace(result, cost=cost)
        return result

    @contextlib.contextmanager
    def _stdin(self, step: Step) -> Iterator[int | None]:
        """The step's standard input: the author's file, not what an earlier step made of it."""
        if step.stdin is None:
            yield None
            return
        try:
            stream = open(step.stdin, "rb")
        except OSError as error:
            raise ProjectError(
                f"{printable(step.stdin)} cannot be read as stdin: {error.strerror}", slug="stdin"
            ) from None
        with stream:
            self._ledger.opened(step.stdin, os.O_RDONLY, None, lambda: True)
            yield stream.fileno()

    def _launch(
        self, step: Step, program: str, argv: tuple[str, ...], cwd: str, stdin: int | None,
        on_output: Callable[[bytes], None] | None,
    ) -> StepSeen:  # fmt: skip
        request = self._request
        return launch(
            Launch(
                name=step.name,
                program=argv[0] if self._tracer == "strace" else program,
                argv=argv,
                cwd=cwd,
                environment=request.environment,
                notify=self._tracer == "notify",
                overlay=(
                    (request.root, self._upper, self._work) if self._in_place is None else None
                ),
                holder=self._holder,
                stdin=stdin,
                timeout=step.timeout,
                on_output=on_output,
                before_write=self._before_write,
            ),
            self._ledger,
        )

    def _before_write(self, path: str, tree: bool) -> None:
        if self._in_place is not None:
            self._in_place.keep(path, tree)
        self._outside.keep(path)

    def _read_strace(self, log: Path, cwd: str) -> None:
        reader = strace.StraceReader(self._ledger, cwd, self._made_or_there)
        if log.exists():
            reader.read(log)
            log.unlink()
        if reader.lost:
            self._limits.append(f"{reader.lost} lines of strace were not understood")

    def _made_or_there(self, path: str) -> str:
        """Where a program can be looked at after the run: what an overlay holds comes first."""
        root = self._request.root + "/"
        if self._in_place is None and path.startswith(root):
            made = os.path.join(self._upper, path[len(root) :])
            if os.path.isfile(made):
                return made
        return path

    def _cwd(self, step: Step) -> str:
        return os.path.normpath(os.path.join(self._request.root, step.cwd))

    def _changes(self) -> list[tuple[str, Change]]:
        if self._in_place is not None:
            return self._in_place.finish(self._upper)
        return overlay_changes(
            self._request.root, self._upper, frozenset(self._request.hide), self._request.seed,
            self._copied,
        )  # fmt: skip

    def _choose_tracer(self) -> str:
        wanted = self._request.tracer
        if wanted not in ("auto", "notify", "strace", "none"):
            raise ProjectError(f"there is no tracer {wanted!r}", hint="auto, notify, strace, none")
        reasons = []
        if wanted in ("auto", "notify"):
            reason = reason_against_notify()
            if reason is None:
                return "notify"
            reasons.append(f"notify: {reason}")
        if wanted in ("auto", "strace"):
            reason = strace.support(self._request.environment)
            if reason is None:
                if reasons:
                    self._limits.append(f"recorded by strace, since {'; '.join(reasons)}")
                return "strace"
            reasons.append(f"strace: {reason}")
        if wanted in ("notify", "strace"):
            raise RuntimeUnavailable(
                f"the tracer {wanted} does not work here", details=reasons, slug="no-tracer"
            )
        self._limits.append(f"{_UNSEEN} ({'; '.join(reasons)})" if reasons else _UNSEEN)
        return "none"

    def _choose_capture(self) -> tuple[str, bool]:
        """The folder for upper and work, and whether an overlay works there."""
        wanted = self._request.capture
        if wanted not in ("auto", "overlay", "in-place"):
            raise ProjectError(f"there is no capture {wanted!r}", hint="auto, overlay, in-place")
        own = tempfile.mkdtemp(prefix=SCRATCH, dir=self._request.scratch)
        if wanted == "in-place":
            self._limits.append(f"recorded in place, as asked for: {_OTHERS}")
            return own, False
        reason = overlay.reason_against(self._request.root, own)
        if reason is None:
            return own, True
        with contextlib.suppress(OSError):
            memory = tempfile.mkdtemp(prefix=SCRATCH, dir="/dev/shm")
            if overlay.reason_against(self._request.root, memory) is None:
                shutil.rmtree(own)
                self._limits.append(f"what the run wrote was kept in memory, since {reason}")
                return memory, True
            shutil.rmtree(memory)
        if wanted == "overlay":
            shutil.rmtree(own)
            raise RuntimeUnavailable(f"no overlay works here: {reason}", slug="no-overlay")
        self._limits.append(
            f"recorded in place and put back, since no overlay works ({reason}): {_OTHERS}"
        )
        return own, False
