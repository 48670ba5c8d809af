"""``repro snapshot``: record a run, pack what it needs, rerun it sealed, write one file."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repro.errors import ProjectError, ReproError, RunFailed
from repro.image.plan import plan_layers
from repro.model.observation import Closure, Observation
from repro.model.project import Project, Step
from repro.model.recording import Claims, Output
from repro.model.verdict import Verdict
from repro.observe.capture import discard, restore, write_back
from repro.observe.closure import close
from repro.observe.recorder import RecordRequest, record
from repro.pin.locker import make_lock, sources
from repro.primitives.events import Event, EventKind, Observer, silent
from repro.primitives.files import walk
from repro.primitives.texts import human_time, printable
from repro.project.config import Config, command_step, find_config, read_config
from repro.project.detect import Findings, is_cache, survey
from repro.project.environment import RunEnvironment, build
from repro.store.archive import Archive
from repro.workflows.notebooks import RUNNER, notebook_step, runner_files
from repro.workflows.outputs import (
    choose_outputs,
    hidden_paths,
    output_records,
    written_paths,
)
from repro.workflows.packing import PackRequest, pack
from repro.workflows.places import cache_root, remove_tree, scratch
from repro.workflows.rerun import step_text


@dataclass(frozen=True, kw_only=True)
class SnapshotRequest:
    """What to snapshot and how.

    ``root`` is the project folder. ``command`` is a command line, or empty: then
    ``notebooks`` (relative to the project) or repro.yml say what to run. ``output`` is
    the archive to write (default ``NAME.repro`` in the project). ``created`` is the
    time of the snapshot as ISO 8601 text; ``clamp`` the fixed time inside (seconds).
    """

    root: Path
    environ: Mapping[str, str]
    created: str
    clamp: int
    machine: str
    command: tuple[str, ...] = ()
    notebooks: tuple[str, ...] = ()
    output: Path | None = None
    name: str | None = None
    tag: str = "latest"
    fresh: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    self_test: bool = True
    strict: bool = False
    write_back: bool = False
    keep: bool = False
    level: int = 3
    tracer: str = "auto"
    capture: str = "auto"
    engine: str | None = None
    timeout: float | None = None
    stdin: int | None = None
    on_output: Callable[[bytes], None] | None = None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A finished snapshot. ``digest`` is the config digest; sizes in bytes, time in seconds."""

    path: Path
    digest: str
    tag: str
    name: str
    run_seconds: float
    run_exit: int
    size: int
    outputs: tuple[Output, ...]
    layers: tuple[Mapping[str, Any], ...]
    warnings: tuple[str, ...]
    self_test: Mapping[str, Any]
    verdict: Verdict | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def snapshot(request: SnapshotRequest, observer: Observer = silent) -> Snapshot:
    """Take a snapshot. Nothing that stood before is changed unless it succeeds.

    Raises ProjectError (repro.yml, no outputs), RunFailed (the command failed),
    RerunFailed (the sealed self-test failed), and what the rooms raise.
    """
    root = _root(request.root)
    findings = survey(root)
    observer(_done("scan", findings.sentence()))
    config = _config(root)
    project, environment = _project(request, root, config, findings)
    output = _target(request, project)
    for note in (*config.notes, *_environment_notes(environment, project)):
        observer(Event(kind=EventKind.WARNING, phase="scan", text=note))
    cache = cache_root(request.environ)
    with scratch(cache / "runs", "record") as folder:
        observation, hidden = _record(
            request, project, environment, folder, findings, output, observer
        )
        try:
            return _finish(
                request, project, environment, observation, findings, output, hidden, observer
            )
        finally:
            restore(observation, project.root)
            if request.write_back and observation.steps and observation.steps[-1].exit == 0:
                write_back(observation, project.root)
            discard(observation)


def _root(folder: Path) -> str:
    root = os.path.realpath(folder)
    if not os.path.isdir(root):
        raise ProjectError(f"{printable(str(folder))} is not a folder")
    if root == "/":
        raise ProjectError("the project cannot be the whole file system", hint="cd into it first")
    return root


def _config(root: str) -> Config:
    path = find_config(Path(root))
    return read_config(path) if path is not None else Config(path="")


def _project(
    request: SnapshotRequest, root: str, config: Config, findings: Findings
) -> tuple[Project, RunEnvironment]:
    environment = build(
        request.environ, root=root, clamp=request.clamp, variables=config.variables or {}
    )
    steps = _steps(request, root, config, findings, environment)
    if config.time_limit is not None or request.timeout is not None:
        limit = request.timeout if request.timeout is not None else config.time_limit
        steps = tuple(_limited(step, limit) for step in steps)
    project = Project(
        name=request.name or config.name or _safe_name(Path(root).name),
        root=root,
        steps=steps,
        outputs=config.outputs,
        variables=config.variables or {},
        exclude=(*config.exclude, *request.exclude),
        title=config.title,
        config=config.path or None,
    )
    return project, environment


def _steps(
    request: SnapshotRequest,
    root: str,
    config: Config,
    findings: Findings,
    environment: RunEnvironment,
) -> tuple[Step, ...]:
    if request.command:
        return (command_step(request.command),)
    if request.notebooks:
        return tuple(notebook_step(root, path, environment.values) for path in request.notebooks)
    books = tuple(notebook_step(root, path, environment.values) for path in config.notebooks)
    if config.steps or books:
        return (*config.steps, *books)
    raise ProjectError(
        "nothing says what to run",
        hint="repro snapshot -- python analysis.py, or repro snapshot paper.ipynb, "
        "or `repro init` to write a repro.yml",
        details=[f"found here: {findings.sentence()}"],
        slug="no-command",
    )


def _limited(step: Step, limit: float | None) -> Step:
    if step.timeout is not None:
        return step
    return Step(
        name=step.name,
        argv=step.argv,
        cwd=step.cwd,
        notebook=step.notebook,
        needs=step.needs,
        timeout=limit,
    )


def _safe_name(name: str) -> str:
    safe = "".join(char if char.isascii() and char.isalnum() else "-" for char in name).strip("-")
    return safe[:100] or "analysis"


def _target(request: SnapshotRequest, project: Project) -> Path:
    output = request.output or Path(project.root) / f"{project.name}.repro"
    if output.is_dir():
        output = output / f"{project.name}.repro"
    if not output.parent.is_dir():
        raise ProjectError(f"there is no folder {printable(str(output.parent))}")
    if not os.access(output.parent, os.W_OK):
        raise ProjectError(f"{printable(str(output.parent))} is not writable", hint="use -o FILE")
    return output


def _environment_notes(environment: RunEnvironment, project: Project) -> Iterator[str]:
    different = [name for name in environment.altered if name not in project.variables]
    if different:
        yield f"set for the run differently from your shell: {', '.join(different)}"


def _record(
    request: SnapshotRequest,
    project: Project,
    environment: RunEnvironment,
    folder: Path,
    findings: Findings,
    output: Path,
    observer: Observer,
) -> tuple[Observation, tuple[str, ...]]:
    """Run the steps under observation. Raises RunFailed when one fails."""
    hidden = hidden_paths(_existing(project.root), project, _earlier_outputs(output), request.fresh)
    seed = runner_files() if any(step.notebook for step in project.steps) else {}
    started = time.monotonic()
    with _cache_folder(environment.cache):
        observation = record(
            RecordRequest(
                root=project.root,
                steps=project.steps,
                environment=environment.values,
                scratch=str(folder),
                hide=hidden,
                seed=seed,
                tracer=request.tracer,
                capture=request.capture,
                on_output=request.on_output,
                stdin=request.stdin,
            ),
            observer,
        )
    last = observation.steps[-1]
    if last.exit != 0:
        restore(observation, project.root)
        discard(observation)
        raise _run_failed(project, observation, hidden)
    text = " && ".join(step_text(step) for step in project.steps)
    observer(
        Event(
            kind=EventKind.DONE,
            phase="run",
            text=f"{printable(text, 100)} · exit 0{_peak(observation)}",
            seconds=time.monotonic() - started,
        )
    )
    for limit in observation.limits:
        observer(Event(kind=EventKind.WARNING, phase="run", text=limit))
    return observation, hidden


def _run_failed(project: Project, observation: Observation, hidden: Sequence[str]) -> RunFailed:
    last = observation.steps[-1]
    if last.timed_out:
        how = f"ran longer than its time limit ({human_time(last.cost.wall)})"
    elif last.exit > 128:
        how = f"was ended by signal {last.exit - 128}"
    else:
        how = f"exited with status {last.exit}"
    hint = "make it run by itself first; nothing was written"
    if hidden:
        hint += f" (hidden before the run: {', '.join(printable(p, 40) for p in hidden[:3])})"
    return RunFailed(f"{last.name!r} {how}", hint=hint, details=last.tail, slug="run-failed")


def _peak(observation: Observation) -> str:
    peaks = [s.cost.peak_memory for s in observation.steps if s.cost.peak_memory]
    if not peaks:
        return ""
    from repro.primitives.texts import human_size

    return f" · peak {human_size(max(peaks))}"


def _existing(root: str) -> list[str]:
    found = []
    with contextlib.suppress(OSError):
        for path, status in walk(root):
            if not stat.S_ISDIR(status.st_mode) and not is_cache(path):
                found.append(path)
    return found


def _earlier_outputs(output: Path) -> tuple[str, ...]:
    """Outputs of the archive that is about to be replaced, unless they were inputs as well."""
    if not output.is_file():
        return ()
    try:
        with Archive.open(output) as archive:
            recording = archive.recording(archive.version(None))
    except ReproError:
        return ()
    in_place = set(recording.circumstances.get("in_place", []))
    return tuple(o.path for o in recording.claims.outputs if o.path not in in_place)


@contextlib.contextmanager
def _cache_folder(path: str) -> Iterator[None]:
    """An empty XDG_CACHE_HOME for the run, gone afterwards."""
    folder = Path(path)
    try:
        if folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.getuid():
            remove_tree(folder)
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise ProjectError(
            f"the scratch folder {path} cannot be made: {error.strerror}",
            hint="remove it, or ask its owner to",
        ) from None
    try:
        yield
    finally:
        remove_tree(folder)


def _finish(
    request: SnapshotRequest,
    project: Project,
    environment: RunEnvironment,
    observation: Observation,
    findings: Findings,
    output: Path,
    hidden: Sequence[str],
    observer: Observer,
) -> Snapshot:
    written = [
        path
        for path in written_paths(observation, project.exclude, findings.environments)
        if path != RUNNER
    ]
    rules = choose_outputs(project, written)
    started = time.monotonic()
    indexes = sources()
    closure = close(
        observation,
        root=project.root,
        home=environment.values["HOME"],
        indexes=indexes,
        outputs=set(rules),
        exclude=(*project.exclude, *_archives(project.root, output)),
    )
    lock = make_lock(closure.packages, indexes)
    observer(_done("pin", _pin_text(closure), time.monotonic() - started))
    for warning in closure.warnings:
        observer(Event(kind=EventKind.WARNING, phase="pin", text=warning))
    from repro.compare.sides import outputs_in

    files = dict(outputs_in(observation.upper, rules))
    claims = Claims(
        name=project.name,
        root=project.root,
        steps=project.steps,
        environment=environment.values,
        outputs=output_records(files, rules),
        declared=project.declared,
        exclude=project.exclude,
        title=project.title,
    )
    return pack(
        PackRequest(
            request=request,
            project=project,
            claims=claims,
            files=files,
            observation=observation,
            closure=closure,
            plan=plan_layers(closure.files),
            lock=lock,
            output=output,
            altered=environment.altered,
            in_place=tuple(_in_place(observation, project.root, rules)),
        ),
        observer,
    )


def _in_place(observation: Observation, root: str, outputs: Mapping[str, object]) -> Iterator[str]:
    """Outputs that were also inputs: read before the run wrote them."""
    for access in observation.accesses:
        path = os.path.normpath(access.path)
        if access.read_first and access.written and path.startswith(root + "/"):
            relative = path[len(root) + 1 :]
            if relative in outputs:
                yield relative


def _archives(root: str, output: Path) -> Iterator[str]:
    """Our own archives never travel inside an archive."""
    yield "*.repro"
    yield "*.repro.failed"
    real = os.path.realpath(output)
    if real.startswith(root + "/"):
        yield real[len(root) + 1 :]


def _pin_text(closure: Closure) -> str:
    counts: dict[str, int] = {}
    for package in closure.packages:
        counts[package.source] = counts.get(package.source, 0) + 1
    return " · ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "no packages"


def _done(phase: str, text: str, seconds: float | None = None) -> Event:
    return Event(kind=EventKind.DONE, phase=phase, text=text, seconds=seconds)
