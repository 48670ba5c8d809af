"""What is run, where, and into which file: from a request to a project."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from repro.errors import ProjectError
from repro.model.project import Project
from repro.model.scope import Scope
from repro.model.step import Step
from repro.primitives.frozen import frozen, replace
from repro.primitives.texts import printable
from repro.project.config import Config, command_step, find_config, read_config
from repro.project.detect import Findings
from repro.project.environment import RunEnvironment, build, passed
from repro.project.identity import Person
from repro.workflows.notebooks import notebook_step


@frozen
class SnapshotRequest:
    """What to snapshot and how.

    ``root`` is the project folder. ``command`` is a command line, or empty: then
    ``notebooks`` (relative to the project) or repro.yml say what to run; ``stdin`` is a file
    that every step reads as its standard input, from the start; ``env`` are variables as
    ``NAME`` (from the shell) or ``NAME=VALUE``; ``allow`` are patterns of files (and names of
    values) that may hold what looks like a secret. ``output`` is
    the archive to write (default ``NAME.repro`` in the project). ``created`` is the
    time of the snapshot as ISO 8601 text; ``clamp`` the fixed time inside (seconds).
    ``message`` is a note of the author about this version. ``person`` is the author as the
    machine knows them; ``anonymous``: nothing of that may be in the archive. ``probe``: rerun
    it under other conditions too, and class every output. ``jobs`` is how many steps may run
    at once (None: as repro.yml says).
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
    message: str | None = None
    fresh: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    anonymous: bool = False
    person: Person = Person()
    self_test: bool = True
    probe: bool = False
    strict: bool = False
    write_back: bool = False
    keep: bool = False
    level: int = 3
    paranoid: bool = False
    tracer: str = "auto"
    capture: str = "auto"
    scope: Scope = Scope.PACKAGES
    engine: str | None = None
    timeout: float | None = None
    stdin: Path | None = None
    on_output: Callable[[bytes], None] | None = None
    jobs: int | None = None


def project_root(folder: Path) -> str:
    """The folder without symlinks. Raises ProjectError when it is none, or ``/``."""
    root = os.path.realpath(folder)
    if not os.path.isdir(root):
        raise ProjectError(f"{printable(str(folder))} is not a folder")
    if root == "/":
        raise ProjectError("the project cannot be the whole file system", hint="cd into it first")
    return root


def configuration(root: str) -> Config:
    """What repro.yml says; an empty one when there is none."""
    path = find_config(Path(root))
    return read_config(path) if path is not None else Config(path="")


def make_project(
    request: SnapshotRequest, root: str, config: Config, findings: Findings
) -> tuple[Project, RunEnvironment]:
    """The project and the environment of its run. Raises ProjectError when nothing says what to run."""
    asked = passed((*config.passed, *request.env), request.environ)
    variables = {**(config.variables or {}), **asked}
    environment = build(request.environ, root=root, clamp=request.clamp, variables=variables)
    steps = _steps(request, root, config, findings, environment)
    if config.time_limit is not None or request.timeout is not None:
        limit = request.timeout if request.timeout is not None else config.time_limit
        steps = tuple(_limited(step, limit) for step in steps)
    if request.stdin is not None:
        stdin = _stdin(request.stdin)
        steps = tuple(replace(step, stdin=stdin) for step in steps)
    project = Project(
        name=request.name or config.name or _safe_name(Path(root).name),
        root=root,
        steps=steps,
        outputs=config.outputs,
        variables=variables,
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
    return replace(step, timeout=limit)


def _stdin(path: Path) -> str:
    """The file without links. Raises ProjectError when it is no plain file: it is packed."""
    if not path.is_file():
        what = "is not a plain file" if path.exists() else "does not exist"
        raise ProjectError(
            f"--stdin {printable(str(path))} {what}",
            hint="save the input to a file: it travels in the archive, for every rerun",
            slug="stdin",
        )
    return os.path.realpath(path)


def _safe_name(name: str) -> str:
    safe = "".join(char if char.isascii() and char.isalnum() else "-" for char in name).strip("-")
    return safe[:100] or "analysis"


def target(request: SnapshotRequest, project: Project) -> Path:
    """The archive to write. Raises ProjectError when its folder is missing or read-only."""
    output = request.output or Path(project.root) / f"{project.name}.repro"
    if output.is_dir():
        output = output / f"{project.name}.repro"
    if not output.parent.is_dir():
        raise ProjectError(f"there is no folder {printable(str(output.parent))}")
    if not os.access(output.parent, os.W_OK):
        raise ProjectError(f"{printable(str(output.parent))} is not writable", hint="use -o FILE")
    return output


def environment_notes(environment: RunEnvironment, project: Project) -> Iterator[str]:
    """What an author should know about the environment of the run."""
    different = [name for name in environment.altered if name not in project.variables]
    if different:
        yield f"set for the run differently from your shell: {', '.join(different)}"
