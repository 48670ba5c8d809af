"""``repro run``: the recorded command, another one, or a shell, in the sealed environment."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from repro.errors import UsageError
from repro.model.limits import NO_LIMITS, Limits
from repro.model.ports import Seal
from repro.model.recording import Claims
from repro.model.step import Step
from repro.primitives.events import Event, EventKind, Observer, silent
from repro.primitives.files import walk
from repro.primitives.frozen import frozen, replace
from repro.primitives.texts import printable
from repro.runtime.base import Runtime
from repro.runtime.choose import choose
from repro.workflows.extract import mark_made, write_outputs
from repro.workflows.opened import Opened, Opening
from repro.workflows.places import cache_root, proofs, runs_root, scratch
from repro.workflows.rerun import (
    REACHED,
    Terms,
    collect,
    make_layer,
    recorded_stdin,
    step_request,
    step_text,
)
from repro.workflows.verify import seal_text

_SHELL = "command -v bash > /dev/null && exec bash -i; exec /bin/sh -i"
"""bash where the image has it: as it ends, dash cannot give back a terminal whose session began
outside, says so and loses its exit status."""


@frozen
class RunRequest:
    """What to run: ``command`` empty means the recorded steps; ``shell`` an interactive sh.

    ``out`` is a folder for what the run wrote in the project; ``stdin`` is a descriptor for
    steps that have no recorded one. ``terminal`` gives a terminal for the shell to be its own,
    as ``primitives.console.lent`` does. ``opening`` opens the archive.
    """

    archive: Path
    tag: str | None
    environ: Mapping[str, str]
    machine: str
    command: tuple[str, ...] = ()
    shell: bool = False
    network: str = "none"
    out: Path | None = None
    timeout: float | None = None
    limits: Limits = NO_LIMITS
    engine: str | None = None
    stdin: int | None = None
    terminal: Callable[[], AbstractContextManager[int]] | None = None
    stdout: int = 1
    stderr: int = 2
    opening: Opening = Opened


@frozen
class RunEnded:
    """How it ended: ``exit`` of the program, the files it wrote, and the seal."""

    exit: int
    written: tuple[str, ...]
    seal: Seal


@frozen
class Prepared:
    """All that a run needs: an engine, unpacked layers, a fresh writable layer in ``folder``."""

    sandbox: Runtime
    layers: tuple[str, ...]
    claims: Claims
    folder: Path
    terms: Terms
    seal: Seal


def run(request: RunRequest, observer: Observer = silent) -> RunEnded:
    """Run in a fresh writable layer over the archive's image.

    Nothing of it stays unless ``out`` names a folder. Raises as ``repro verify`` does.
    """
    with prepared(request, observer) as ready:
        exit_status = 0
        for step in _steps(request, ready.claims.steps):
            observer(Event(kind=EventKind.NOTE, phase="run", text=step_text(step)))
            with (
                recorded_stdin(ready.layers, step) as stdin,
                _streams(request, stdin) as (stdin, stdout, stderr),
            ):
                asked = step_request(
                    ready.layers,
                    ready.claims,
                    step,
                    ready.folder,
                    ready.terms,
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                )
                result = ready.sandbox.run(replace(asked, terminal=request.terminal is not None))
            exit_status = result.exit
            if result.reached is not None:
                text = f"{printable(step.name, 60)} {REACHED[result.reached]}"
                observer(Event(kind=EventKind.WARNING, phase="run", text=text))
            if exit_status != 0:
                break
        return RunEnded(exit=exit_status, written=keep(request, ready, observer), seal=ready.seal)


@contextlib.contextmanager
def _streams(request: RunRequest, stdin: int | None) -> Iterator[tuple[int | None, int, int]]:
    if request.terminal is None:
        yield request.stdin if stdin is None else stdin, request.stdout, request.stderr
        return
    with request.terminal() as fd:
        yield fd, fd, fd


@contextlib.contextmanager
def prepared(request: RunRequest, observer: Observer = silent) -> Iterator[Prepared]:
    """The archive opened and checked, its engine chosen; the writable layer is gone afterwards."""
    if request.out is not None:
        _check_new(request.out)
    root = cache_root(request.environ)
    with (
        request.opening(request.archive, request.tag, request.machine, root, observer) as opened,
        scratch(runs_root(request.environ), "run") as folder,
    ):
        # The engine is loaded while the digests are being checked (docs/decisions/0005).
        claims = opened.archive.recording(opened.version).claims
        sandbox = choose(request.engine, proofs(request.environ))
        seal = sandbox.seal(request.network, request.limits.over(claims.limits))
        layers = opened.layers()
        observer(Event(kind=EventKind.DONE, phase="sealed", text=seal_text(seal, request.network)))
        make_layer(folder)
        yield Prepared(
            sandbox=sandbox,
            layers=tuple(layers),
            claims=claims,
            folder=folder,
            terms=Terms(timeout=request.timeout, network=request.network, limits=request.limits),
            seal=seal,
        )


def keep(request: RunRequest, ready: Prepared, observer: Observer) -> tuple[str, ...]:
    """Write what the run wrote in the project to ``out``, if that is wanted; its paths."""
    own = replace(ready.claims, declared=False)  # not only what the author declared
    produced, notes = collect(ready.folder / "upper", own)
    for note in notes:
        observer(Event(kind=EventKind.WARNING, phase="run", text=note))
    if request.out is not None:
        request.out.mkdir(parents=True, exist_ok=True)
        mark_made(request.out, "run --out")
        write_outputs(produced, request.out)
    return tuple(sorted(produced))


def _steps(request: RunRequest, recorded: tuple[Step, ...]) -> tuple[Step, ...]:
    if request.shell:
        return (Step(name="shell", argv=("/bin/sh", "-c", _SHELL)),)
    if request.command:
        return (Step(name=request.command[0], argv=request.command),)
    return recorded


def _check_new(path: Path) -> None:
    """Before anything runs: hours of work must not end here."""
    if path.exists() and (not path.is_dir() or next(iter(walk(str(path))), None) is not None):
        raise UsageError(f"{printable(str(path))} exists and is not an empty folder")
