"""The author's stability probe as lines and as a part of the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from repro.model.stability import AXES, PROBE_SCHEMA
from repro.primitives.texts import printable
from repro.report.escape import esc

_MOST = 100
_FEW = 5
_STATES = {"varied": "varied", "failed": "the run failed", "not varied": "not varied"}
_STABLE = "deterministic"


def is_probe(value: object) -> bool:
    """Whether a document's ``probe`` is one that can be shown here."""
    return isinstance(value, Mapping) and value.get("schema") == PROBE_SCHEMA


def probe_lines(probe: Mapping[str, Any], *, proposals: bool = True) -> Iterator[str]:
    """For a terminal: every output that is not deterministic, what was not varied, proposals."""
    outputs = _tables(probe, "outputs")
    stable = sum(output.get("class") == _STABLE for output in outputs)
    yield (
        f"probe     {stable} of {len(outputs)} outputs deterministic, in {probe.get('reruns')} "
        "sealed reruns"
    )
    for output in [o for o in outputs if o.get("class") != _STABLE][:_MOST]:
        yield f"  {_text(output.get('path'), 120)}: {_text(_said(output), 240)}"
        for place in _tables(output, "places")[:3]:
            yield f"    perhaps {_place(place)} {_text(place.get('text'), 80)}"
    for axis in _tables(probe, "axes"):
        if axis.get("state") != "varied":
            yield f"  {_name(axis)} {_state(axis)}: {_text(axis.get('why'), 300)}"
    for limit in _texts(probe, "limits"):
        yield f"  not seen: {printable(limit, 300)}"
    if proposals:
        yield from _proposals(probe)


def _proposals(probe: Mapping[str, Any]) -> Iterator[str]:
    listed = _tables(probe, "proposals")
    if listed:
        yield "proposals"
    for proposal in listed[:_MOST]:
        names = [printable(path, 80) for path in _texts(proposal, "outputs")]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        yield f"  {', '.join(names[:3])}{more}: {_text(proposal.get('why'), 300)}"
        lines = _texts(proposal, "lines")
        if lines:
            yield "    in repro.yml:"
        for line in lines:
            yield f"      {_indented(line)}"


def probe_summary(document: Mapping[str, Any]) -> Iterator[str]:
    """For a reviewer, below the verdict: what the author's probe said, in a few lines."""
    probe = document.get("probe")
    if not is_probe(probe) or not isinstance(probe, Mapping):
        return
    outputs = _tables(probe, "outputs")
    unstable = [output for output in outputs if output.get("class") != _STABLE]
    stable = len(outputs) - len(unstable)
    yield f"author's probe: {stable} of {len(outputs)} outputs deterministic"
    for output in unstable[:_FEW]:
        yield f"  {_text(output.get('path'), 120)}: {printable(stability_text(output), 300)}"
    if len(unstable) > _FEW:
        yield f"  and {len(unstable) - _FEW} more"
    names = [_name(axis) for axis in _tables(probe, "axes") if axis.get("state") != "varied"]
    if names:
        yield f"  not varied: {', '.join(names)}"


def pinned_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The second rerun of ``--pin-cpu``; nothing when none was asked for."""
    pinned = document.get("pinned")
    if not isinstance(pinned, Mapping):
        return
    yield f"pinned: {_headline(pinned)}"
    for path, before, after in _drifts(pinned)[:_FEW]:
        yield f"  {printable(path, 120)}: {printable(before, 20)}, pinned {printable(after, 20)}"
    for text in _texts(pinned, "could_not"):
        yield f"  could not: {printable(text, 300)}"


def _headline(pinned: Mapping[str, Any]) -> str:
    settings = _text(pinned.get("settings"), 400)
    if pinned.get("failed"):
        return f"no result: {_text(pinned['failed'], 300)}"
    vanished, before = _texts(pinned, "vanished"), pinned.get("before")
    count = len(before) if isinstance(before, Mapping) else 0
    return (
        f"{len(vanished)} of {count} drifts vanish in a second rerun with {settings}; the verdict "
        "is of the first"
    )


def _drifts(pinned: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    before, outcomes = pinned.get("before"), pinned.get("outcomes")
    if not isinstance(before, Mapping) or not isinstance(outcomes, Mapping) or not outcomes:
        return []
    return [(str(p), str(was), str(outcomes.get(p, "none"))) for p, was in before.items()]


def pinned_section(document: Mapping[str, Any]) -> str:
    """The second rerun as a section of the page; nothing when none was asked for."""
    pinned = document.get("pinned")
    if not isinstance(pinned, Mapping):
        return ""
    rows = "".join(
        f'<tr><th scope="row"><code>{esc(path, 300)}</code></th><td>{esc(before, 20)}</td>'
        f"<td>{esc(after, 20)}</td></tr>"
        for path, before, after in _drifts(pinned)[:_MOST]
    )
    could_not = "".join(f"<li>{esc(t, 400)}</li>" for t in _texts(pinned, "could_not")[:_MOST])
    table = (
        "<table><thead><tr><td></td><th>This rerun</th><th>Pinned</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )
    return (
        "<section><h2>Pinned to the author's processor</h2>"
        f"<p>{esc(_headline(pinned), 900)}.</p>"
        + (table if rows else "")
        + (f'<h3>What could not be set</h3><ul class="notes">{could_not}</ul>' if could_not else "")
        + "</section>"
    )


def numerics_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """For ``inspect``: the BLAS libraries of the run with their kernels, libm, threads."""
    numerics = document.get("numerics")
    if not isinstance(numerics, Mapping):
        return
    for blas in _tables(numerics, "blas")[:_FEW]:
        version, kernel = blas.get("version"), blas.get("kernel")
        yield (
            f"  BLAS      OpenBLAS {_text(version or 'of unknown version', 40)}, kernel "
            f"{_text(kernel or 'unknown', 40)}"
        )
    threads = numerics.get("threads")
    given = threads.items() if isinstance(threads, Mapping) else ()
    words = [f"{printable(str(name), 40)}={_text(value, 20)}" for name, value in given]
    words.insert(0, f"{_text(numerics.get('processors'), 10)} processors")
    if numerics.get("libm"):
        words.append(f"libm of {_text(numerics['libm'], 60)}")
    yield f"  numbers   {', '.join(words)}"


def stability_text(stability: Mapping[str, Any]) -> str:
    """``varies with hash seed, within its tolerance``, and the first place; not escaped."""
    said = _said(stability)
    places = _tables(stability, "places")
    if not places:
        return said
    place = places[0]
    return f"{said}, perhaps {_place(place)} {place.get('text', '')}"


def _said(output: Mapping[str, Any]) -> str:
    said = str(output.get("says", ""))
    return f"{said}, within its tolerance" if output.get("worst") == "close" else said


def probe_section(document: Mapping[str, Any]) -> str:
    """The section of the page; nothing when the archive was not probed."""
    probe = document.get("probe")
    if not is_probe(probe) or not isinstance(probe, Mapping):
        return ""
    outputs = _tables(probe, "outputs")
    unstable = [output for output in outputs if output.get("class") != _STABLE]
    rows = "".join(
        f'<tr><th scope="row"><code>{esc(o.get("path"), 300)}</code></th>'
        f"<td>{esc(_said(o), 240)}</td><td>{_cells(o)}</td></tr>"
        for o in unstable[:_MOST]
    )
    listed = (
        "<table><thead><tr><td></td><th>Class</th><th>Perhaps because of</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )
    more = f"<p>{len(unstable) - _MOST} more are in the JSON document only.</p>"
    axes = "".join(
        f'<tr><th scope="row">{esc(_name(axis), 60)}</th><td>{esc(_state(axis), 60)}</td>'
        f"<td>{esc(_about(axis), 400)}</td></tr>"
        for axis in _tables(probe, "axes")[:_MOST]
    )
    limits = "".join(f"<li>{esc(text, 500)}</li>" for text in _texts(probe, "limits")[:_MOST])
    stable = len(outputs) - len(unstable)
    return (
        f"<section><h2>Stability <small>the author's probe: {stable} of {len(outputs)} outputs "
        f"deterministic, in {esc(probe.get('reruns'), 20)} sealed reruns</small></h2>"
        + (listed if unstable else "")
        + (more if len(unstable) > _MOST else "")
        + f"<h3>What was varied</h3><table>{axes}</table>"
        + (f'<ul class="notes">{limits}</ul>' if limits else "")
        + "</section>"
    )


def _cells(output: Mapping[str, Any]) -> str:
    return "<br>".join(
        f"<code>{esc(_where(place), 300)}</code> {esc(place.get('text'), 80)}"
        for place in _tables(output, "places")[:3]
    )


def _about(axis: Mapping[str, Any]) -> str:
    if axis.get("state") != "varied":
        return str(axis.get("why", ""))
    held = f"; held in reruns: {axis['held']}" if axis.get("held") else ""
    return f"{axis.get('usual', '')} → {axis.get('varied', '')}{held}"


def _state(axis: Mapping[str, Any]) -> str:
    state = str(axis.get("state"))
    return _STATES.get(state, printable(state, 20))


def _name(axis: Mapping[str, Any]) -> str:
    name = str(axis.get("axis"))
    return AXES.get(name, printable(name, 40))


def _place(place: Mapping[str, Any]) -> str:
    return printable(_where(place), 160)


def _where(place: Mapping[str, Any]) -> str:
    cell = f" cell {place['cell']}" if place.get("cell") is not None else ""
    return f"{place.get('path', '')}{cell}:{place.get('line', '')}"


def _text(value: object, limit: int) -> str:
    return printable(str(value), limit)


def _indented(line: str) -> str:
    """A line of YAML: its indentation is meant."""
    bare = line.lstrip(" ")
    return " " * (len(line) - len(bare)) + printable(bare, 300)


def _tables(holder: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    value = holder.get(key)
    return [v for v in value if isinstance(v, Mapping)] if isinstance(value, list) else []


def _texts(holder: Mapping[str, Any], key: str) -> Sequence[str]:
    value = holder.get(key)
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []
