"""After the self-test: the numeric libraries of the run, and the stability probe where asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from repro.model.entry import FileEntry, LayerKind
from repro.model.observation import Observation
from repro.model.ports import Sandbox
from repro.model.recording import Claims
from repro.model.stability import Probe, Spot
from repro.model.step import Step
from repro.observe.processor import flags
from repro.primitives.events import Observer
from repro.primitives.files import private_folder
from repro.primitives.frozen import frozen
from repro.project.audit_paths import Here
from repro.project.variation_files import Source, command_source, read_sources
from repro.workflows.numerics import Blas, Numerics, facts
from repro.workflows.probe_axes import Machine, choices, processors
from repro.workflows.probe_clock import libraries, other_clock
from repro.workflows.probe_order import other_order
from repro.workflows.probe_places import ON_HOST, spots_for
from repro.workflows.probing import ProbeRequest, probe
from repro.workflows.rerun import Rerun

_TMPFS = "/dev/shm"


class ProjectSources:
    """The project's own sources, read when they are first asked for."""

    def __init__(self, files: Callable[[], Iterable[str]], here: Here, steps: Sequence[Step]):
        self._files = files
        self._here = here
        self._steps = steps

    @classmethod
    def of(cls, entries: Sequence[FileEntry], here: Here, steps: Sequence[Step]) -> ProjectSources:
        """Those among the files that are packed as the project's code or data."""

        def files() -> Iterator[str]:
            prefix = here.root.rstrip("/") + "/"
            for entry in entries:
                if entry.kind in (LayerKind.CODE, LayerKind.DATA) and entry.path.startswith(prefix):
                    yield entry.path[len(prefix) :]

        return cls(files, here, steps)

    @cached_property
    def all(self) -> tuple[Source, ...]:
        """Every source, and the commands that are no file."""
        commands = [command_source(step.argv, step.name) for step in self._steps]
        return (
            *read_sources(sorted(self._files()), self._here),
            *(command for command in commands if command is not None),
        )

    def suspects(self, path: str) -> tuple[Spot, ...]:
        """Lines by which an output may differ between the recording and the self-test."""
        return spots_for(path, ON_HOST, self.all)


@frozen
class Examination:
    """What is to be found out beside the verdict of the self-test."""

    probe: bool
    sources: ProjectSources


@frozen
class Examined:
    """``facts`` are fields of the circumstances; ``probe`` is None when none was asked for."""

    facts: dict[str, Any]
    probe: Probe | None = None


def examine(
    wanted: Examination,
    *,
    sandbox: Sandbox,
    layers: Sequence[str],
    own: Sequence[str],
    claims: Claims,
    observation: Observation,
    outcome: Rerun,
    runs: Path,
    libc: str,
    observer: Observer,
) -> Examined:
    """Ask the BLAS libraries, then probe.

    ``layers`` are unpacked, lowest first; ``own`` are those of them that hold the project;
    ``outcome`` is the self-test's.
    """
    asked = Numerics(sandbox, layers, claims, runs)
    cpus = processors()
    found: dict[str, Any] = {
        "numerics": facts(asked, observation, claims, processors=len(cpus), libc=libc)
    }
    if not wanted.probe:
        return Examined(facts=found)
    private_folder(runs)
    with (
        other_order(own, claims.root, (_TMPFS, str(runs))) as order,
        other_clock(asked, runs, libraries()) as clock,
    ):
        machine = Machine(
            cpus=cpus, flags=flags(), layers=layers, guises=sandbox.guises, numerics=asked,
            blas=Blas.recorded(found), order=order, clock=clock,
        )  # fmt: skip
        result = probe(
            ProbeRequest(
                sandbox=sandbox, layers=layers, claims=claims, baseline=outcome.produced,
                seconds=outcome.seconds, runs=runs, choices=choices(claims, machine),
                sources=wanted.sources.all,
            ),
            observer,
        )  # fmt: skip
    return Examined(facts={**found, "probe": result.to_json()}, probe=result)
