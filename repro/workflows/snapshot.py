"""``repro snapshot``: record a run, pack what it needs, rerun it sealed, write one file."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from repro.compare.sides import outputs_in
from repro.errors import ProjectError, UsageError
from repro.image.plan import plan_layers
from repro.model.entry import EntryType
from repro.model.lock import Lock
from repro.model.observation import Closure, Observation
from repro.model.ports import OutputFile
from repro.model.project import Project
from repro.model.recording import Claims, Output
from repro.model.remote_input import RemoteSource
from repro.model.scope import Scope
from repro.observe.capture import discard, write_back
from repro.observe.closure import close
from repro.pin.base import PackageSource
from repro.pin.locker import make_lock, sources
from repro.primitives.events import Event, EventKind, Observer, done, silent
from repro.primitives.frozen import frozen, replace
from repro.primitives.texts import printable
from repro.project.config import Config
from repro.project.detect import Findings, survey
from repro.project.environment import RunEnvironment
from repro.project.globs import matches_any
from repro.workflows.anonymity import check_versions, identified
from repro.workflows.bytecode import with_bytecode
from repro.workflows.check import here_of
from repro.workflows.editables import name_editables
from repro.workflows.examining import Examination, ProjectSources
from repro.workflows.foreseeing import forecast, foreseen
from repro.workflows.guarding import Guard, recorded_values, refuse_secrets
from repro.workflows.names import check_tag
from repro.workflows.notebooks import RUNNER
from repro.workflows.observing import in_place, lost_figures, observe, run_failed
from repro.workflows.outputs import (
    choose_outputs,
    made_environments,
    output_records,
    written_paths,
)
from repro.workflows.own_results import own_facts, own_results, own_warnings
from repro.workflows.packing import Packed, PackRequest, check_name, pack
from repro.workflows.places import cache_root, runs_root, scratch
from repro.workflows.preparing import (
    SnapshotRequest,
    configuration,
    environment_notes,
    make_project,
    project_root,
    target,
)
from repro.workflows.remote_inputs import as_data, placed
from repro.workflows.repository import git_state
from repro.workflows.scoping import offered
from repro.workflows.weights import name_weights

DEFAULT_TAG = "latest"
"""The tag of a version when none was named."""


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
            "probe": None if self.packed.probe is None else self.packed.probe.to_json(),
            "warnings": list(self.warnings),
        }


def snapshot(request: SnapshotRequest, observer: Observer = silent) -> Snapshot:
    """Take a snapshot. Nothing that stood before is changed unless it succeeds.

    Raises ProjectError (repro.yml, no outputs), RunFailed (the command failed),
    RerunFailed (the sealed self-test failed), and what the rooms raise.
    """
    if request.probe and not request.self_test:
        raise UsageError("--probe compares with the self-test: leave --no-self-test out")
    if request.tag is not None:
        check_tag(request.tag)
    root = project_root(request.root)
    findings = survey(root)
    observer(done("scan", findings.sentence()))
    config = configuration(root)
    project, environment = make_project(request, root, config, findings)
    output = target(request, project)
    check_name(request.tag or DEFAULT_TAG, output, add=request.tag is not None)
    if request.anonymous and request.tag is not None:
        check_versions(output)
    notes = (*config.notes, *environment_notes(environment, project))
    _warn(observer, "scan", notes)
    _foretell(request, config, project, observer)
    # Before remote inputs lie in the folder: they are no change of the author's.
    git = git_state(root, request.environ)
    with (
        placed(config.remote, root, request.environ, observer) as remote,
        scratch(runs_root(request.environ), "record") as folder,
    ):
        jobs = config.jobs if request.jobs is None else request.jobs
        observation, hidden = observe(request, project, environment, folder, output, jobs, observer)
        try:
            if observation.steps[-1].exit != 0:
                raise run_failed(observation, hidden, jobs)
            prepared = _Prepared(
                request=request, project=project, environment=environment, config=config,
                findings=findings, output=output, observation=observation, notes=notes,
                folder=folder, git=git, remote=remote.sources,
            )  # fmt: skip
            result = _finish(prepared, observer)
            if request.write_back:
                remote.keep()
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
    folder: Path
    notes: tuple[str, ...]
    git: Mapping[str, Any] | None
    remote: tuple[RemoteSource, ...]

    @property
    def allow(self) -> tuple[str, ...]:
        return (*self.config.allow, *self.request.allow)


def _finish(prepared: _Prepared, observer: Observer) -> Snapshot:
    """From a successful observation to the written archive."""
    request, project = prepared.request, prepared.project
    observation = prepared.observation
    environments = (*prepared.findings.environments, *made_environments(observation))
    written = written_paths(observation, project.exclude, environments)
    rules = choose_outputs(project, [path for path in written if path != RUNNER])
    started = time.monotonic()
    notes = None if request.paranoid else cache_root(request.environ) / "lists"
    indexes = sources(notes=notes)
    closure = _closure(prepared, rules, indexes)
    lock = make_lock(closure.packages, indexes, project.root)
    lock = name_editables(lock, closure.packages, indexes, request.environ)
    observer(done("pin", _pin_text(closure), time.monotonic() - started))
    _warn(observer, "pin", closure.warnings)
    files = dict(outputs_in(observation.upper, rules))
    claims = _claims(prepared, output_records(files, rules), environments)
    altered = tuple(in_place(observation, project.root, rules))
    own = own_results(project.root, files, rules, altered, project.steps)
    doubts = (*lost_figures(observation, project, claims.environment), *own_warnings(own))
    _warn(observer, "run", doubts)
    guard = _guard(prepared, closure, files, claims, lock, observer)
    ready = identified(
        PackRequest(
            environ=request.environ,
            machine=request.machine,
            created=request.created,
            clamp=request.clamp,
            level=request.level,
            paranoid=request.paranoid,
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
            git=prepared.git,
            remote=prepared.remote,
            warnings=(*prepared.notes, *closure.warnings, *doubts),
            altered=prepared.environment.altered,
            in_place=altered,
            message=request.message,
            guard=guard,
            facts={"author_results": own_facts(own, anonymous=request.anonymous)},
            examination=Examination(
                probe=request.probe,
                sources=ProjectSources.of(
                    closure.files, here_of(project.root, request.environ), project.steps
                ),
            ),
        ),
        request.person,
        anonymous=request.anonymous,
        allow=prepared.allow,
        folder=prepared.folder,
        observer=observer,
    )
    packed = pack(ready, observer)
    name_weights(ready.plan, packed.layers, request.scope, observer)
    return Snapshot(
        path=prepared.output,
        digest=str(packed.digest),
        tag=packed.tag,
        name=project.name,
        run_seconds=sum(step.cost.wall for step in observation.steps),
        run_exit=observation.steps[-1].exit,
        size=packed.size,
        outputs=claims.outputs,
        packed=packed,
        warnings=ready.warnings,
    )


def _guard(
    prepared: _Prepared,
    closure: Closure,
    files: Mapping[str, OutputFile],
    claims: Claims,
    lock: Lock,
    observer: Observer,
) -> Guard:
    """What was searched for credentials. Raises ProjectError when something holds one."""
    return refuse_secrets(
        entries=closure.files,
        results=files,
        values=recorded_values(claims, prepared.observation, prepared.request.message),
        documents={"git": prepared.git, "lock": lock.to_json()},
        root=claims.root,
        allow=prepared.allow,
        deny=prepared.config.deny,
        observer=observer,
    )


def _closure(
    prepared: _Prepared, rules: Collection[str], indexes: Sequence[PackageSource]
) -> Closure:
    """What the image holds, with what was added to what was observed."""
    request, project = prepared.request, prepared.project
    closure = close(
        prepared.observation,
        root=project.root,
        home=prepared.environment.values["HOME"],
        indexes=offered(request.scope, prepared.observation, indexes),
        full=request.scope is Scope.FULL,
        outputs=rules,
        exclude=(*project.exclude, *_own_archive(project.root, prepared.output)),
        include=(*prepared.config.include, *(source.path for source in prepared.remote)),
        folders=(prepared.environment.cache,),
        allowed=prepared.allow,
        matches=matches_any,
    )
    _refuse_excluded(closure, project)
    closure = as_data(replace(closure, scope=request.scope), project.root, prepared.remote)
    modules = with_bytecode(closure.files, prepared.folder, request.environ)
    return replace(closure, files=modules)


def _refuse_excluded(closure: Closure, project: Project) -> None:
    """An excluded file that the run read can be neither packed nor left out."""
    read = sorted(
        inside
        for entry in closure.files
        if entry.type is EntryType.FILE and entry.origin == "project"
        if matches_any(inside := entry.path[len(project.root) + 1 :], project.exclude)
    )
    if read:
        more = f" (and {len(read) - 1} more)" if len(read) > 1 else ""
        raise ProjectError(
            f"the run reads {printable(read[0], 200)}{more}, which inputs.exclude or --exclude "
            "keeps out: no rerun could read it",
            hint="let the run do without it, or take it out of inputs.exclude and --exclude so that "
            "it is packed",
            details=[printable(path, 200) for path in read[1:20]],
            slug="excluded-input",
        )


def _claims(
    prepared: _Prepared, outputs: tuple[Output, ...], environments: tuple[str, ...]
) -> Claims:
    project = prepared.project
    return Claims(
        name=project.name,
        root=project.root,
        steps=project.steps,
        environment=prepared.environment.values,
        outputs=outputs,
        declared=project.declared,
        # What a rerun writes into an environment is no result either.
        exclude=tuple(dict.fromkeys((*project.exclude, *environments))),
        title=project.title,
        limits=prepared.config.limits,
    )


def _own_archive(root: str, output: Path) -> Iterator[str]:
    """The file that is to be written; what else repro wrote is told by its bytes."""
    real = os.path.realpath(output)
    if real.startswith(root + "/"):
        yield real[len(root) + 1 :]


def _foretell(
    request: SnapshotRequest, config: Config, project: Project, observer: Observer
) -> None:
    """Before the run: what would refuse the snapshot after it."""
    found = foreseen(
        project.root,
        exclude=project.exclude,
        allow=(*config.allow, *request.allow),
        identity=request.person.telling(whole=True) if request.anonymous else None,
    )
    text = forecast(list(found))
    if text is not None:
        observer(Event(kind=EventKind.WARNING, phase="scan", text=text, code="secret"))


def _warn(observer: Observer, phase: str, texts: Sequence[str]) -> None:
    for text in texts:
        observer(Event(kind=EventKind.WARNING, phase=phase, text=text))


def _pin_text(closure: Closure) -> str:
    counts: dict[str, int] = {}
    for package in closure.packages:
        counts[package.source] = counts.get(package.source, 0) + 1
    return " · ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "no packages"
