"""The parts of the page around the outputs: verdict, run, machines, seal, provenance."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from repro.model.outcome import Outcome
from repro.primitives.texts import human_size, human_time
from repro.report.escape import esc, esc_block
from repro.report.machines import fact, machine_rows
from repro.report.panels import TONES, badge
from repro.report.resources import RESOURCES
from repro.report.stability import pinned_section, probe_section
from repro.report.tally import tally

_MAX_ROWS = 100
_MAX_UNSEEN = 20
_MEANING = {
    "identical": "the same bytes",
    "equivalent": "the same after leaving out what carries no result, such as a file's date; "
    "everything left out is named",
    "close": "numbers or pixels differ within a tolerance; who set it is shown",
    "unexpected": "written by the rerun, but not recorded",
    "undecided": "could not be compared; never counts as success",
    "different": "compared, and not the same",
    "missing": "recorded, but not written by the rerun",
}
_WORDS = {
    "identical": "The results are identical",
    "equivalent": "The results are equivalent",
    "close": "The results agree within tolerance",
    "unexpected": "The results could not be confirmed",
    "undecided": "Not every result could be compared",
    "different": "The results differ",
    "missing": "Results are missing",
}


def header(document: Mapping[str, Any]) -> str:
    """The verdict in words, the counts, and the facts a reader asks first."""
    archive = document.get("archive", {})
    tone = TONES[document["verdict"]][1]
    if not document["reproduced"] and tone in ("good", "near"):
        tone = "bad"
    name = esc(archive.get("name", "Comparison"), 200)
    title = esc(archive["title"], 300) if archive.get("title") else ""
    about = f" <span>{title}</span>" if title else ""
    return (
        f'<div class="bar"><span class="name">{name}</span>{about}<span class="grow"></span>'
        '<button type="button" class="theme">Light / dark</button></div>'
        f'<div class="verdict {tone}"><h1>{_headline(document)}</h1><p>{_count(document)}</p></div>'
        f"{_partial(document)}{_facts(document)}{_alerts(document)}"
    )


def _headline(document: Mapping[str, Any]) -> str:
    mark = TONES[document["verdict"]][0]
    partial = f"{esc(tally(document).partial, 100)} · " if document.get("partial") else ""
    return f"{mark}&ensp;{partial}{_WORDS[document['verdict']]}"


def _count(document: Mapping[str, Any]) -> str:
    count = tally(document)
    done = "reproduced" if count.reproduced else "not reproduced"
    return (
        f"{count.good} of {count.required} required outputs meet the bar “{count.bar}” or better: "
        f"<strong>{done}</strong>."
    )


def _partial(document: Mapping[str, Any]) -> str:
    partial = document.get("partial")
    if not partial:
        return ""
    asked = ", ".join(f"<code>{esc(pattern, 200)}</code>" for pattern in partial["only"][:20])
    return (
        f'<div class="alert warn"><strong>{esc(partial["text"], 200)}</strong> <span>Only what '
        f"matches {asked} was judged. This is no verdict on the whole archive.</span></div>"
    )


def _facts(document: Mapping[str, Any]) -> str:
    run, archive = document.get("run", {}), document.get("archive", {})
    seal = document.get("seal", {})
    facts: list[tuple[str, str]] = []
    if run.get("seconds") is not None:
        facts.append(("Run time", _beside(run["seconds"], run.get("author_seconds"), human_time)))
    if run.get("peak_memory"):
        peak = _beside(run["peak_memory"], run.get("author_peak_memory"), human_size)
        facts.append(("Peak memory", peak))
    if seal:
        network = "NETWORK OPEN" if seal.get("network") else "no network"
        facts.append(("Sealed by", f"{esc(seal.get('engine'))} <small>{network}</small>"))
    if archive.get("digest"):
        digest = esc(archive["digest"])
        facts.append(("Archive", f'<span class="mono" title="{digest}">{digest[:19]}…</span>'))
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    return f'<dl class="facts">{listed}</dl>' if listed else ""


def _beside(here: Any, there: Any, show: Any) -> str:
    author = f" <small>author {show(there)}</small>" if there else ""
    return f"{show(here)}{author}"


def _alerts(document: Mapping[str, Any]) -> str:
    parts = [
        f'<div class="alert warn"><strong>Note</strong> <span>{esc(text, 500)}</span></div>'
        for text in document.get("warnings", ())
    ][:20]
    for hint in document.get("hints", ()):
        place = f"<code>{esc(hint['at'], 200)}</code>: " if hint.get("at") else ""
        parts.append(
            f'<div class="alert near"><strong>Perhaps</strong> <span>{place}'
            f"{esc(hint.get('text', ''), 500)} [{esc(hint.get('code', ''), 60)}]</span></div>"
        )
    return "".join(parts)


def outputs_head(outputs: list[Mapping[str, Any]]) -> str:
    """The heading of the list and its filters."""
    counts = Counter(output["verdict"] for output in outputs)
    buttons = [_filter("", f"All {len(outputs)}", pressed=True)]
    for verdict in sorted(counts, key=lambda name: -Outcome(name).rank):
        buttons.append(_filter(verdict, f"{TONES[verdict][0]} {verdict} {counts[verdict]}"))
    group = "".join(buttons) if len(counts) > 1 else ""
    return (
        "<h2>Outputs <small>worst first</small></h2>"
        f'<div class="filters" role="group" aria-label="Show only">{group}</div>'
    )


def _filter(verdict: str, label: str, *, pressed: bool = False) -> str:
    return (
        f'<button type="button" data-verdict="{verdict}" aria-pressed="{str(pressed).lower()}">'
        f"{label}</button>"
    )


def about_sections(document: Mapping[str, Any], left_out: Iterable[str]) -> str:
    """Everything below the outputs."""
    return "".join(
        part
        for part in (
            _not_compared(document, left_out),
            _run(document),
            _machines(document),
            pinned_section(document),
            probe_section(document),
            _seal(document),
            _provenance(document),
            _ladder(),
        )
        if part
    )


def _not_compared(document: Mapping[str, Any], left_out: Iterable[str]) -> str:
    items = [esc(text, 600) for text in document.get("not_checked", ())]
    items += [
        f"<code>{esc(output['path'], 300)}</code>: {esc(note, 400)}"
        for output in document["outputs"]
        if output["verdict"] == "undecided"
        for note in output.get("notes", ())
    ]
    unseen = list(left_out)
    items += [
        f"not shown on this page for its size: <code>{esc(path, 300)}</code>"
        for path in unseen[:_MAX_UNSEEN]
    ]
    if len(unseen) > _MAX_UNSEEN:
        items.append(f"nor {len(unseen) - _MAX_UNSEEN} further outputs")
    listed = "".join(f"<li>{item}</li>" for item in items[:300])
    return (
        f'<section><h2>Not checked, not compared</h2><ul class="notes">{listed}</ul></section>'
        if (items)
        else ""
    )


def _run(document: Mapping[str, Any]) -> str:
    run, archive = document.get("run"), document.get("archive", {})
    if not run:
        return ""
    path = str(archive.get("path") or f"{archive.get('name', 'archive')}.repro").rpartition("/")[2]
    command = f"repro verify {shlex.quote(path)} --require {document['required']}"
    for pattern in (document.get("partial") or {}).get("only", ()):
        command += f" --only {shlex.quote(str(pattern))}"
    steps = "".join(
        f"<pre>{esc_block(shlex.join(map(str, step)))}</pre>"
        for step in list(run.get("steps", ()))[:_MAX_ROWS]
    )
    tail = "\n".join(str(line) for line in run.get("log_tail", ()))
    return (
        "<section><h2>The run</h2><h3>Repeat this verification</h3>"
        f'<div class="command"><pre>{esc_block(command)}</pre>'
        '<button type="button" class="copy">Copy</button></div>'
        + (f"<h3>What ran, sealed</h3>{steps}" if steps else "")
        + f"<table>{_resources(run)}</table>"
        + (f"<h3>Last lines of its output</h3><pre>{esc_block(tail)}</pre>" if tail else "")
        + "</section>"
    )


def _resources(run: Mapping[str, Any]) -> str:
    rows = [("", "This rerun", "The author's run")]
    for name, show, key in RESOURCES:
        rows.append((name, _shown(show, run.get(key)), _shown(show, run.get(f"author_{key}"))))
    rows.append(("Exit status", esc(run.get("exit", "")), esc(run.get("author_exit", ""))))
    return "".join(
        f'<tr><th scope="row">{name}</th><td class="num">{here}</td><td class="num">{there}</td></tr>'
        for name, here, there in rows
    )


def _shown(show: Callable[[Any], str], value: Any) -> str:
    return show(value) if isinstance(value, (int, float)) else "not measured"


def _machines(document: Mapping[str, Any]) -> str:
    rows = []
    for key, old, new in machine_rows(document):
        mark = ' class="differs"' if old != new else ""
        rows.append(
            f'<tr{mark}><th scope="row">{esc(key, 80)}</th><td>{esc(old, 400)}</td>'
            f"<td>{esc(new, 400)}</td></tr>"
        )
    if not rows:
        return ""
    return (
        "<section><h2>Machines <small>differences are marked</small></h2><table>"
        "<thead><tr><td></td><th>Author</th><th>This rerun</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></section>"
    )


def _seal(document: Mapping[str, Any]) -> str:
    seal = document.get("seal")
    if not seal:
        return ""
    enforced = "".join(
        f'<tr><th scope="row">{esc(name, 80)}</th><td>{esc(how, 400)}</td></tr>'
        for name, how in sorted(seal.get("enforced", {}).items())
    )
    missing = "".join(
        f'<tr class="differs"><th scope="row">{esc(name, 80)}</th><td>{esc(why, 400)}</td></tr>'
        for name, why in sorted(seal.get("not_enforced", {}).items())
    )
    version = esc(f"{seal.get('engine', '')} {seal.get('version', '')}")
    return (
        f"<section><h2>How the rerun was sealed <small>{version}</small></h2>"
        f"<h3>Enforced</h3><table>{enforced}</table>"
        + (f"<h3>Not enforced</h3><table>{missing}</table>" if missing else "")
        + "</section>"
    )


def _provenance(document: Mapping[str, Any]) -> str:
    archive = document.get("archive") or {}
    rows = "".join(
        f'<tr><th scope="row">{esc(key, 80)}</th><td class="mono">{esc(fact(value), 600)}</td></tr>'
        for key, value in list(archive.items())[:_MAX_ROWS]
        if value not in (None, "", [])
    )
    if not rows:
        return ""
    signed = "" if archive.get("signatures") else "<p>The archive is not signed.</p>"
    return f"<section><h2>Provenance</h2><table>{rows}</table>{signed}</section>"


def _ladder() -> str:
    rows = "".join(
        f"<tr><td>{badge(name)}</td><td>{esc(text)}</td></tr>" for name, text in _MEANING.items()
    )
    return (
        "<section><h2>What the words mean</h2>"
        f'<table class="ladder">{rows}</table>'
        "<p>The verdict is that of the worst required output. Only identical, equivalent and "
        "close can meet a bar.</p></section>"
    )
