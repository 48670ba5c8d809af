"""A part of a recording: only some outputs, and only the steps that they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from repro.errors import UsageError
from repro.model.recording import Claims, Output, Recording
from repro.model.step import Step
from repro.primitives.frozen import frozen, replace
from repro.primitives.texts import printable
from repro.project.globs import matches, matches_any

_MAX_ARGV = 64
"""How many words of a command the circumstances hold."""


@frozen
class Selection:
    """What to run and judge. ``only`` are the patterns asked for; none: everything.

    ``why`` tells why steps run that the outputs may not need. ``left_out`` names the steps
    that do not run.
    """

    claims: Claims
    recorded: int
    steps_recorded: int
    only: tuple[str, ...] = ()
    why: str | None = None
    left_out: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any] | None:
        """The ``partial`` of ``repro.verify/1``; None when everything is judged."""
        if not self.only:
            return None
        judged = len(self.claims.outputs)
        found: dict[str, Any] = {
            "only": list(self.only),
            "judged": judged,
            "recorded": self.recorded,
            "steps": [step.name for step in self.claims.steps],
            "steps_recorded": self.steps_recorded,
            "text": f"partial: {judged} of {self.recorded} outputs",
        }
        if self.why is not None:
            found["steps_why"] = self.why
        return found

    def limits(self) -> Iterator[str]:
        """What a partial verification did not check, in sentences."""
        if not self.only:
            return
        rest = self.recorded - len(self.claims.outputs)
        yield f"{rest} of {self.recorded} recorded outputs: not asked for (--only)"
        yield "files that the rerun wrote and the recording does not have: not looked at (--only)"
        if self.left_out:
            yield f"steps that did not run (--only): {', '.join(self.left_out)}"


def select(recording: Recording, only: Sequence[str]) -> Selection:
    """The outputs that match a pattern of ``only``, with the steps they need.

    Which step wrote an output is known from the recorded processes, which are not sealed:
    were they wrong, an output would be missing and never pass. Raises UsageError for a
    pattern that no output matches.
    """
    claims = recording.claims
    counts = (len(claims.outputs), len(claims.steps))
    if not only:
        return Selection(claims=claims, recorded=counts[0], steps_recorded=counts[1])
    for pattern in only:
        if not any(matches(output.path, pattern) for output in claims.outputs):
            raise _nothing(pattern, claims.outputs)
    outputs = tuple(o for o in claims.outputs if matches_any(o.path, only))
    steps, why = _steps(recording, outputs)
    return Selection(
        # Declared: what else the steps write is no business of a partial verification.
        claims=replace(claims, outputs=outputs, steps=steps, declared=True),
        recorded=counts[0],
        steps_recorded=counts[1],
        only=tuple(only),
        why=why,
        left_out=tuple(printable(s.name, 60) for s in claims.steps if s not in steps),
    )


def _nothing(pattern: str, outputs: Sequence[Output]) -> UsageError:
    few = ", ".join(printable(output.path, 60) for output in outputs[:5])
    more = f" and {len(outputs) - 5} more" if len(outputs) > 5 else ""
    return UsageError(
        f"--only {printable(pattern, 100)!r} matches no recorded output",
        hint=f"recorded are {few}{more}; `*` stays in a folder, `**/*.png` crosses them",
    )


def _steps(recording: Recording, outputs: Sequence[Output]) -> tuple[tuple[Step, ...], str | None]:
    """The steps that the outputs need in their order, and why it is all when it is."""
    every = recording.claims.steps
    if len(every) == 1:
        return every, None
    if not any(step.needs for step in every):
        return every, "all steps run: none of them declares `needs`"
    writers = step_writers(recording)
    names = set()
    for output in outputs:
        name = writers.get(output.path)
        if name is None:
            path = printable(output.path, 80)
            return every, f"all steps run: which step writes {path} was not recorded"
        names.add(name)
    wanted = _with_needs(names, every)
    return tuple(step for step in every if step.name in wanted), None


def _with_needs(names: Iterable[str], steps: Sequence[Step]) -> set[str]:
    needs = {step.name: step.needs for step in steps}
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending.extend(needs.get(name, ()))
    return found


def step_writers(recording: Recording) -> dict[str, str]:
    """Output path -> name of the step that was the first to write it, where it was seen."""
    claims, seen = recording.claims, recording.circumstances
    found = {step.notebook: step.name for step in claims.steps if step.notebook}
    parents, roots = _processes(seen.get("processes"), claims.steps)
    prefix = claims.root.rstrip("/") + "/"
    for entry in _mappings(seen.get("files")):
        path, writer = entry.get("path"), entry.get("writer")
        if isinstance(path, str) and path.startswith(prefix) and isinstance(writer, int):
            name = _step_of(writer, parents, roots)
            if name is not None:
                found.setdefault(path[len(prefix) :], name)
    return found


def _processes(listed: object, steps: Sequence[Step]) -> tuple[dict[int, object], dict[int, str]]:
    """Each process's parent, and the step that each first process was."""
    parents: dict[int, object] = {}
    roots: dict[int, str] = {}
    waiting = list(steps)
    names = {step.name for step in steps}
    for process in _mappings(listed):
        number, argv = process.get("number"), process.get("argv")
        if not isinstance(number, int):
            continue
        parents[number] = process.get("parent")
        named = process.get("step")
        if isinstance(named, str) and named in names:
            roots[number] = named
            continue
        if parents[number] is None and waiting and argv == list(waiting[0].argv[:_MAX_ARGV]):
            roots[number] = waiting.pop(0).name
    return parents, roots


def _step_of(number: int, parents: Mapping[int, object], roots: Mapping[int, str]) -> str | None:
    seen: set[int] = set()
    here: object = number
    while isinstance(here, int) and here not in seen:
        if here in roots:
            return roots[here]
        seen.add(here)
        here = parents.get(here)
    return None


def _mappings(value: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))
