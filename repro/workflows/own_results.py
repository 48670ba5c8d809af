"""The author's own results, as they lay in the folder, beside what the recorded run made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from repro.compare.judge import judge
from repro.compare.sides import outputs_in
from repro.errors import ArchiveError
from repro.model.outcome import Outcome
from repro.model.ports import OutputFile
from repro.model.project import OutputRule
from repro.model.step import Step
from repro.model.verdict import OutputVerdict, Verdict
from repro.primitives import canonical
from repro.primitives.texts import printable

_MAX_LISTED = 1000
_MAX_NOTEBOOK = 64 << 20


def own_results(
    root: str,
    made: Mapping[str, OutputFile],
    rules: Mapping[str, OutputRule],
    in_place: Collection[str],
    steps: Collection[Step],
) -> Verdict:
    """Judge what lay at the outputs' paths before the run against what the run made there.

    The folder must be as it was before the run. An output that the run also read is no
    earlier result and left out (``in_place``), but not a notebook that a step executed: what
    it had stored is judged, where it had stored something.
    """
    notebooks = {step.notebook for step in steps if step.notebook}
    there = outputs_in(root, (p for p in made if p in notebooks or p not in in_place))
    old = {p: o for p, o in there.items() if p not in notebooks or _has_outputs(o)}
    return judge(
        old,
        {path: made[path] for path in old},
        rules={path: (rules[path].required, rules[path].compare) for path in old},
        declared=True,
    )


def own_warnings(verdict: Verdict) -> Iterator[str]:
    """One line for each file of the author that is not what the run made."""
    for output in verdict.outputs:
        if output.outcome.meets(Outcome.CLOSE):
            continue
        name = printable(output.path, 100)
        said = printable(output.comparison.summary, 160)
        about = f": {said}" if said else ""
        if output.outcome is Outcome.UNDECIDED:
            yield f"your {name} could not be compared with what this run made{about}"
        else:
            yield f"your {name} differs from what this run made{about}"


def own_facts(verdict: Verdict, *, anonymous: bool) -> dict[str, Any]:
    """The ``author_results`` of the circumstances; no paths where nobody is to be named."""
    bad = [output for output in verdict.outputs if not output.outcome.meets(Outcome.CLOSE)]
    counts = Counter(output.outcome.value for output in verdict.outputs)
    return {
        "compared": len(verdict.outputs),
        "outcomes": dict(sorted(counts.items())),
        "differing": None if anonymous else [_entry(output) for output in bad[:_MAX_LISTED]],
    }


def _entry(output: OutputVerdict) -> dict[str, Any]:
    return {
        "path": output.path,
        "outcome": output.outcome.value,
        "summary": output.comparison.summary,
        "sha256": output.old_digest,
    }


def _has_outputs(output: OutputFile) -> bool:
    """Whether a notebook had stored anything; one that cannot be read is left to the judge."""
    try:
        with output.open() as stream:
            document = canonical.load(
                stream.read(_MAX_NOTEBOOK + 1), "the notebook", limit=_MAX_NOTEBOOK
            )
    except (ArchiveError, OSError):
        return True
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, list):
        return True
    return any(isinstance(cell, dict) and cell.get("outputs") for cell in cells)
