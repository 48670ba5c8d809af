"""``repro snapshot``: record a run, pack what it needs, rerun it sealed, write one file."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from repro.compare.sides import outputs_in
from repro.errors import ProjectError, ReproError, RunFailed
from repro.image.plan import plan_layers
from repro.model.observation import Closure, Observation
from repro.model.project import Project
from repro.model.recording import Claims, Output
from repro.model.step import Step
from repro.observe.capture import discard, restore, write_back
from repro.observe.closure import close
from repro.observe.recorder import RecordRequest, record
from repro.pin.locker import make_lock, sources
from repro.primitives.events import Event, EventKind, Observer, silent
from repro.primitives.files import remove_tree, walk
from repro.primitives.frozen import frozen
from repro.primitives.texts import human_size, printable
from repro.project.config import Config, command_step, find_config, read_config
from repro.project.detect import Findings, is_cache, survey
from repro.project.environment import RunEnvironment, build
from repro.project.globs import matches_any
from repro.store.archive import Archive
from repro.workflows.notebooks import RUNNER, notebook_step, runner_files
from repro.workflows.outputs import (
    choose_outputs,
    hidden_paths,
    output_records,
    written_paths,
)
from repro.workflows.packing import Packed, PackRequest, check_name, pack
from repro.workflows.places import cache_root, scratch
from repro.workflows.rerun import how_it_ended, step_text

DEFAULT_TAG = "latest"
"""The tag of a version when none was named."""


@frozen
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
    tag: str | None = None
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


@frozen
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
    packed: Packed
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The document ``repro.snapshot/1``."""
        classes = self.packed.self_test.get("outputs", {})
        return {
            "schema": "repro.snapshot/1",
            "archive": {
                "digest": self.digest,
                "path": str(self.path),
                "name": self.name,
                "tag": self.tag,
                "size": self.size,
            },
            "run": {"seconds": round(self.run_seconds, 3), "exit": self.run_exit},
            "outputs": [
                {**output.to_json(), "self_test": classes.get(output.path)}
                for output in self.outputs
            ],
            "layers": [
                {
                    "kind": each.layer.kind,
                    "digest": str(each.layer.descriptor.digest),
                    "diff_id": str(each.layer.diff_id),
                    "size": each.layer.descriptor.size,
                    "uncompressed_size": each.layer.uncompressed_size,
                }
                for each in self.packed.layers
            ],
            "self_test": dict(self.packed.self_test),
            "warnings": list(self.warnings),
        }


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
    check_name(request.tag or DEFAULT_TAG, output, add=request.tag is not None)
    notes = (*config.notes, *_environment_notes(environment, project))
    for note in notes:
        observer(Event(kind=EventKind.WARNING, phase="scan", text=note))
    with scratch(cache_root(request.environ) / "runs", "record") as folder:
        observation, hidden = _record(request, project, environment, folder, output, observer)
        try:
            if observation.steps[-1].exit != 0:
                raise _run_failed(observation, hidden)
            prepared = _Prepared(
                request=request, project=project, environment=environment, config=config,
                findings=findings, output=output, observation=observation, notes=notes,
            )  # fmt: skip
            result = _finish(prepared, observer)
            if request.write_back:
                write_back(observation, project.root)
            return result
        finally:
            discard(observation)


@frozen
class _Prepared:
    request: SnapshotRequest
    project: Project
    environment: RunEnvironment
    config: Config
    findings: Findings
    output: Path
    observation: Observation
    notes: tuple[str, ...]


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
    output: Path,
    observer: Observer,
) -> tuple[Observation, tuple[str, ...]]:
    """Run the steps under observation, and put the folder back where it was run in place."""
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
    restore(observation, project.root)
    if observation.steps[-1].exit == 0:
        text = printable(" && ".join(step_text(step) for step in project.steps), 100)
        seconds = time.monotonic() - started
        observer(_done("run", f"{text} · exit 0{_peak(observation)}", seconds))
        for limit in observation.limits:
            observer(Event(kind=EventKind.WARNING, phase="run", text=limit))
    return observation, hidden


def _run_failed(observation: Observation, hidden: Sequence[str]) -> RunFailed:
    last = observation.steps[-1]
    hint = "make it run by itself first; nothing was written"
    if hidden:
        hint += f" (hidden before the run: {', '.join(printable(p, 40) for p in hidden[:3])})"
    return RunFailed(
        f"{printable(last.name, 60)!r} {how_it_ended(last)}",
        hint=hint,
        details=last.tail,
        slug="run-failed",
    )


def _peak(observation: Observation) -> str:
    peaks = [s.cost.peak_memory for s in observation.steps if s.cost.peak_memory]
    if not peaks:
        return ""
    return f" · peak {human_size(max(peaks))}"


def _existing(root: str) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for path, status in walk(root):
            if not stat.S_ISDIR(status.st_mode) and not is_cache(path):
                yield path


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


def _finish(prepared: _Prepared, observer: Observer) -> Snapshot:
    """From a successful observation to the written archive."""
    request, project = prepared.request, prepared.project
    observation = prepared.observation
    written = written_paths(observation, project.exclude, prepared.findings.environments)
    rules = choose_outputs(project, [path for path in written if path != RUNNER])
    started = time.monotonic()
    indexes = sources()
    closure = close(
        observation,
        root=project.root,
        home=prepared.environment.values["HOME"],
        indexes=indexes,
        outputs=rules,
        exclude=(*project.exclude, *_archives(project.root, prepared.output)),
        include=prepared.config.include,
        folders=(prepared.environment.cache,),
        matches=matches_any,
    )
    lock = make_lock(closure.packages, indexes)
    observer(_done("pin", _pin_text(closure), time.monotonic() - started))
    for warning in closure.warnings:
        observer(Event(kind=EventKind.WARNING, phase="pin", text=warning))
    files = dict(outputs_in(observation.upper, rules))
    claims = _claims(prepared, output_records(files, rules))
    lost = tuple(_lost_figures(observation, project, claims.environment))
    for warning in lost:
        observer(Event(kind=EventKind.WARNING, phase="run", text=warning))
    warnings = (*prepared.notes, *closure.warnings, *lost)
    packed = pack(
        PackRequest(
            environ=request.environ,
            machine=request.machine,
            created=request.created,
            clamp=request.clamp,
            level=request.level,
            output=prepared.output,
            tag=request.tag or DEFAULT_TAG,
            add=request.tag is not None,
            self_test=request.self_test,
            strict=request.strict,
            keep=request.keep,
            engine=request.engine,
            claims=claims,
            files=files,
            observation=observation,
            closure=closure,
            plan=plan_layers(closure.files),
            lock=lock,
            warnings=warnings,
            altered=prepared.environment.altered,
            in_place=tuple(_in_place(observation, project.root, rules)),
        ),
        observer,
    )
    return Snapshot(
        path=prepared.output,
        digest=str(packed.digest),
        tag=request.tag or DEFAULT_TAG,
        name=project.name,
        run_seconds=sum(step.cost.wall for step in observation.steps),
        run_exit=observation.steps[-1].exit,
        size=packed.size,
        outputs=claims.outputs,
        packed=packed,
        warnings=warnings,
    )


def _lost_figures(
    observation: Observation, project: Project, environment: Mapping[str, str]
) -> Iterator[str]:
    """A kernel that another program started draws nothing into its notebook under Agg."""
    kernels = any("ipykernel_launcher" in process.argv for process in observation.processes)
    if (
        kernels
        and environment.get("MPLBACKEND") == "Agg"
        and not any(step.notebook for step in project.steps)
    ):
        yield (
            "a notebook kernel ran with MPLBACKEND=Agg: figures without `%matplotlib inline` are "
            "lost; use `repro snapshot NOTEBOOK`, or set MPLBACKEND in repro.yml"
        )


def _claims(prepared: _Prepared, outputs: tuple[Output, ...]) -> Claims:
    project = prepared.project
    return Claims(
        name=project.name,
        root=project.root,
        steps=project.steps,
        environment=prepared.environment.values,
        outputs=outputs,
        declared=project.declared,
        exclude=project.exclude,
        title=project.title,
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
