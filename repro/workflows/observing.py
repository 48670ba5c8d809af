"""Run a project under observation, in a folder where old results are hidden."""

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from repro.errors import ProjectError, ReproError, RunFailed, StorageError
from repro.model.observation import Observation
from repro.model.project import Project
from repro.model.usage import Usage
from repro.observe.capture import restore
from repro.observe.recorder import RecordRequest, record
from repro.primitives.events import Event, EventKind, Observer, done
from repro.primitives.files import private_folder, remove_tree, walk
from repro.primitives.texts import printable
from repro.project.detect import is_cache
from repro.project.environment import RunEnvironment
from repro.store.archive import Archive
from repro.workflows.notebooks import runner_files
from repro.workflows.outputs import (
    hidden_paths,
)
from repro.workflows.places import cache_root
from repro.workflows.preparing import SnapshotRequest
from repro.workflows.rerun import how_it_ended, step_text


def observe(
    request: SnapshotRequest,
    project: Project,
    environment: RunEnvironment,
    folder: Path,
    output: Path,
    jobs: int,
    observer: Observer,
) -> tuple[Observation, tuple[str, ...]]:
    """Run the steps under observation, and put the folder back where it was run in place."""
    hidden = hidden_paths(_existing(project.root), project, _earlier_outputs(output), request.fresh)
    seed = runner_files() if any(step.notebook for step in project.steps) else {}
    started = time.monotonic()
    locks = cache_root(request.environ) / "locks"
    lock = locks / f"{Path(environment.cache).name}.lock"
    with _alone(lock, observer), _cache_folder(environment.cache):
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
                jobs=jobs,
            ),
            observer,
        )
    restore(observation, project.root)
    if observation.steps[-1].exit == 0:
        text = printable(" && ".join(step_text(step) for step in project.steps), 100)
        seconds = time.monotonic() - started
        at_once = f" · up to {jobs} at once" if jobs > 1 and len(project.steps) > 1 else ""
        observer(done("run", f"{text} · exit 0{at_once}", seconds))
        observer(done("used", Usage.of(step.cost for step in observation.steps).text()))
        for limit in observation.limits:
            observer(Event(kind=EventKind.WARNING, phase="run", text=limit))
    return observation, hidden


def run_failed(observation: Observation, hidden: Sequence[str], jobs: int = 1) -> RunFailed:
    """The error of a recorded run whose last step failed, up to ``jobs`` of them at once."""
    last = observation.steps[-1]
    hint = "make it run by itself first; nothing was written"
    if hidden:
        hint += f" (hidden before the run: {', '.join(printable(p, 40) for p in hidden[:3])})"
    return RunFailed(
        f"{printable(last.name, 60)!r} {how_it_ended(last)}",
        hint=hint,
        details=(*last.tail, *(observation.limits if jobs > 1 else ())),
        slug="run-failed",
    )


def lost_figures(
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


def in_place(observation: Observation, root: str, outputs: Mapping[str, object]) -> Iterator[str]:
    """Outputs that were also inputs: read before the run wrote them."""
    for access in observation.accesses:
        path = os.path.normpath(access.path)
        if access.read_first and access.written and path.startswith(root + "/"):
            relative = path[len(root) + 1 :]
            if relative in outputs:
                yield relative


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
def _alone(lock: Path, observer: Observer) -> Iterator[None]:
    """Runs of one project share the place of their scratch cache: one records at a time.

    The place is the same each time, so that results which name it do not differ. The lock
    (flock(2)) goes with the process.
    """
    try:
        private_folder(lock.parent)
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(
            f"{printable(str(lock))} cannot be made: {error.strerror}", hint="set REPRO_CACHE"
        ) from None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = "another snapshot of this project is recording: waiting for it"
            observer(Event(kind=EventKind.WARNING, phase="run", text=text))
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


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
