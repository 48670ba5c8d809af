"""A verification as JUnit XML: what CI systems show as tests, one for each output.

The dialect that Jenkins, GitLab, GitHub's and Azure's readers share: ``testsuites`` >
``testsuite`` > ``properties`` and ``testcase`` with ``failure``, ``error`` or ``skipped``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from repro.errors import ReproError
from repro.model.outcome import Outcome
from repro.report.escape import esc, esc_block
from repro.report.tally import Tally, tally
from repro.report.text import detail

_MAX_LINES = 20
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def junit_xml(document: Mapping[str, Any]) -> str:
    """The XML of a ``repro.verify/1`` document.

    A required output below the bar is a failure, one that could not be compared an error.
    One that is not required is skipped when it differs, as it does not count. A document
    without a required output has an error of its own, so that it is never green.
    """
    count = tally(document)
    cases = [_case(output, count) for output in document["outputs"]]
    if not count.required:
        cases.append(("error", _element("verdict", "", "error", _NOTHING, _NOTHING)))
    run = document.get("run") or {}
    return _suite(
        f"repro verify {document['archive'].get('name', '')}"
        + (f" ({count.partial})" if count.partial else ""),
        float(run.get("seconds") or 0),
        "".join(_property(name, value) for name, value in _properties(document, count)),
        cases,
    )


def junit_error(name: str, error: ReproError) -> str:
    """The XML of a verification that gave no verdict: one test case ``rerun``, an error."""
    text = "\n".join([error.message, *error.details])
    case = _element("rerun", "", "error", f"error[{error.slug}]: {error.message}", text)
    return _suite(f"repro verify {name}", 0.0, "", [("error", case)])


_NOTHING = "no output is required, so there is nothing a verdict could rest on"


def _suite(name: str, seconds: float, properties: str, cases: list[tuple[str, str]]) -> str:
    kinds = [kind for kind, _ in cases]
    counts = (
        f'tests="{len(cases)}" failures="{kinds.count("failure")}" '
        f'errors="{kinds.count("error")}" skipped="{kinds.count("skipped")}" time="{seconds:.3f}"'
    )
    body = "".join(case for _, case in cases)
    return (
        f'{_HEAD}<testsuites name="repro" {counts}>\n'
        f'<testsuite name="{esc(name, 300)}" {counts}>\n'
        f"<properties>\n{properties}</properties>\n{body}</testsuite>\n</testsuites>\n"
    )


def _properties(document: Mapping[str, Any], count: Tally) -> Iterable[tuple[str, object]]:
    seal, archive = document["seal"], document["archive"]
    yield "repro.version", document["tool"]["version"]
    yield "archive.digest", archive.get("digest", "")
    yield "archive.tag", archive.get("tag", "")
    yield "verdict", count.word
    yield "count", count.sentence
    if count.partial:
        yield "partial", count.partial
    yield "seal.engine", f"{seal['engine']} {seal['version']}"
    yield "seal.network", "OPEN" if seal["network"] else "none"
    for name, how in sorted(seal["enforced"].items()):
        yield f"seal.enforced.{name}", how
    for name, why in sorted(seal["not_enforced"].items()):
        yield f"seal.not_enforced.{name}", why
    for number, text in enumerate(document["not_checked"], 1):
        yield f"not_checked.{number}", text


def _property(name: str, value: object) -> str:
    return f'<property name="{esc(name, 200)}" value="{esc(value, 1000)}"/>\n'


def _case(output: Mapping[str, Any], count: Tally) -> tuple[str, str]:
    verdict = Outcome(output["verdict"])
    said = detail(output)
    reason = f"{verdict.value}: {said}" if said else verdict.value
    if verdict.meets(Outcome(count.bar)):
        return "", _element(output["path"], output["comparator"], "", reason, "")
    if not output["required"]:
        reason = f"does not count: {reason}"
        return "skipped", _element(output["path"], output["comparator"], "skipped", reason, "")
    if verdict.meets(Outcome.CLOSE):
        reason = f"{count.bar} required, {reason}"
    kind = "error" if verdict is Outcome.UNDECIDED else "failure"
    text = "\n".join(_lines(output))
    return kind, _element(output["path"], output["comparator"], kind, reason, text)


def _lines(output: Mapping[str, Any]) -> Iterable[str]:
    for item in output.get("differences", ())[:_MAX_LINES]:
        yield f"{item['where']}: {item['text']}"
        if "old" in item or "new" in item:
            yield f"  recorded: {item.get('old', '')}"
            yield f"  rerun:    {item.get('new', '')}"
    yield from (str(note) for note in output.get("notes", ())[:_MAX_LINES])


def _element(path: str, comparator: str, kind: str, reason: str, text: str) -> str:
    head = f'<testcase classname="repro.outputs" name="{esc(path, 2000)}" time="0">'
    if not kind:
        return f"{head}<system-out>{esc(f'{reason} ({comparator})', 600)}</system-out></testcase>\n"
    if kind == "skipped":
        return f'{head}<skipped message="{esc(reason, 600)}"/></testcase>\n'
    word = esc(reason.partition(":")[0], 80)
    return (
        f'{head}<{kind} message="{esc(reason, 600)}" type="{word}">{esc_block(text)}</{kind}>'
        "</testcase>\n"
    )
