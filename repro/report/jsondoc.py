"""The stable JSON documents: ``repro.verify/1`` and ``repro.diff/1``.

They are also the only input of the other reports, so that a report can be made again
from a saved document. Paths that are not UTF-8 travel as lone surrogates, which
``json.dumps(..., ensure_ascii=True)`` writes and reads back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from repro.model.ports import Seal
from repro.model.stability import OutputClass, Probe
from repro.model.verdict import Comparison, Difference, OutputVerdict, Verdict
from repro.primitives.resources import template

VERIFY_SCHEMA = "repro.verify/1"
DIFF_SCHEMA = "repro.diff/1"


def verify_schema() -> str:
    """The JSON Schema (draft 2020-12) of ``repro.verify/1``, as text."""
    return template("verify.schema.json")


def verify_document(
    *,
    verdict: Verdict,
    archive: Mapping[str, Any],
    seal: Seal,
    run: Mapping[str, Any],
    tool_version: str,
    environment: Mapping[str, Any] | None = None,
    hints: Sequence[Mapping[str, Any]] = (),
    not_checked: Sequence[str] = (),
    partial: Mapping[str, Any] | None = None,
    probe: Probe | None = None,
    pinned: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The document of a verification.

    ``archive`` has ``digest`` and ``name``; ``run`` has ``exit``, ``seconds``,
    ``author_seconds``, ``peak_memory`` (bytes) and may have ``log_tail``, ``steps`` and
    the other figures of ``report.resources``;
    ``environment`` has the host facts of ``author`` and ``reviewer``; ``hints`` are
    mappings with ``code`` and ``text``. Whatever else they hold is kept. ``partial`` says
    which outputs were judged when not all were. ``probe`` is the author's stability probe as the
    archive has it, ``pinned`` the second rerun; without them their fields are not there.
    ``verify_schema`` has the whole form.
    """
    found = {
        "schema": VERIFY_SCHEMA,
        "tool": {"name": "repro", "version": tool_version},
        "archive": dict(archive),
        "seal": _seal(seal),
        "run": dict(run),
        **_judged(verdict),
        "partial": None if partial is None else dict(partial),
        "hints": [dict(hint) for hint in hints],
        "environment": {"author": {}, "reviewer": {}, **(environment or {})},
        "not_checked": list(not_checked),
    }
    if pinned is not None:
        found["pinned"] = dict(pinned)
    if probe is not None:
        found["probe"] = probe.to_json()
        classes = {each.path: each for each in probe.outputs}
        for output in found["outputs"]:
            if output["path"] in classes:
                output["stability"] = _stability(classes[output["path"]])
    return found


def _stability(known: OutputClass) -> dict[str, Any]:
    document = known.to_json()
    return {name: document[name] for name in ("class", "says", "axes", "worst", "places")}


def outcome_document(verdict: Verdict) -> dict[str, Any]:
    """The document of a comparison without a rerun (``repro diff --json``)."""
    return {"schema": DIFF_SCHEMA, **_judged(verdict)}


def _judged(verdict: Verdict) -> dict[str, Any]:
    return {
        "verdict": verdict.outcome.value,
        "required": verdict.required.value,
        "reproduced": verdict.reproduced,
        "outputs": [_output(output) for output in verdict.outputs],
        "warnings": list(verdict.warnings),
    }


def _seal(seal: Seal) -> dict[str, Any]:
    return {
        "engine": seal.engine,
        "version": seal.version,
        # True is the alarming value: the run could reach a network.
        "network": "network" not in seal.enforced,
        "enforced": dict(seal.enforced),
        "not_enforced": dict(seal.not_enforced),
        "passed_over": dict(seal.passed_over),
    }


def _output(output: OutputVerdict) -> dict[str, Any]:
    found: dict[str, Any] = {
        "path": output.path,
        "verdict": output.outcome.value,
        "comparator": output.comparison.comparator,
        "required": output.required,
        "summary": output.comparison.summary,
        "recorded": _side(output.old_digest, output.old_size),
        "produced": _side(output.new_digest, output.new_size),
    }
    found.update(_evidence(output.comparison))
    if output.copied_from is not None:
        found["copied_from"] = output.copied_from
    return found


def _side(digest: str | None, size: int | None) -> dict[str, Any] | None:
    return None if size is None else {"sha256": digest, "size": size}


def _evidence(comparison: Comparison) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if comparison.numbers is not None:
        found["numbers"] = comparison.numbers.to_json()
    if comparison.tolerance:
        found["tolerance"] = {
            name: _number(value) if name in ("rtol", "atol", "max_pixels") else value
            for name, value in comparison.tolerance.items()
        }
    found["removed"] = list(comparison.removed)
    found["notes"] = list(comparison.notes)
    found["differences"] = [_difference(item) for item in comparison.differences]
    return found


def _difference(difference: Difference) -> dict[str, Any]:
    found = {"where": difference.where, "text": difference.text}
    if difference.old is not None:
        found["old"] = difference.old
    if difference.new is not None:
        found["new"] = difference.new
    return found


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
