"""A verification as a Markdown form, for a review, an issue or a summary of CI.

Text from archives cannot act as Markdown or HTML: what is not plain words stands in a code
span, and what could end one is written as entities (CommonMark 0.31, 2.5 and 6.1; pipes
of tables as in GitHub's dialect, whose links and mentions are not made inside code).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from repro.model.written import COMMENT
from repro.primitives.texts import printable
from repro.report.machines import machine_rows
from repro.report.panels import worst_first
from repro.report.resources import RESOURCES
from repro.report.tally import tally
from repro.report.text import detail

_MAX_OUTPUTS = 300
_MAX_LINES = 60
_PLAIN = re.compile(r"[^\W_][\w ,;:%=/().+'“”≈×·…-]*")


def review_form(document: Mapping[str, Any]) -> str:
    """The form of a ``repro.verify/1`` document: verdict, outputs, seal, limits, what to cite."""
    parts = [
        _head(document),
        _section("Outputs", _outputs(document)),
        _section("Warnings", _bullets(document["warnings"])),
        _section("Perhaps because of", _bullets(_hints(document))),
        _section("How the rerun was sealed", _seal(document)),
        _section("What was not checked", _bullets(document["not_checked"])),
        _section("Where the machines differ", _machines(document)),
        _section("To be cited", _cite(document)),
        _section("Remarks of the reviewer", ["<!-- yours -->"]),
    ]
    return "\n".join(part for part in parts if part)


def code(text: object, limit: int = 300) -> str:
    """A string as code in which nothing acts: no markup, no link, no mention, no new column."""
    shown = printable(str(text), limit)
    if not shown.strip() or shown != shown.strip() or re.search(r"[`|\\]", shown):
        return f"<code>{re.sub('[^0-9A-Za-z ]', _entity, shown)}</code>"
    return f"`{shown}`"


def words(text: object, limit: int = 300) -> str:
    """A string as it is when it is plain words, else as code."""
    shown = str(text)
    plain = len(shown) <= limit and shown.isprintable() and _PLAIN.fullmatch(shown)
    if not plain or "__" in shown or "_ " in shown or "://" in shown or "www." in shown.lower():
        return code(shown, limit) if shown else ""
    return shown


def _entity(match: re.Match[str]) -> str:
    char = match.group()
    return f"&#{ord(char)};" if ord(char) < 128 else char


def _head(document: Mapping[str, Any]) -> str:
    count, archive = tally(document), document["archive"]
    partial = f"**{count.partial}** (no verdict on the whole archive)\n\n" if count.partial else ""
    title = f"{words(archive['title'])}\n\n" if archive.get("title") else ""
    return (
        f"<!-- {COMMENT} -->\n# {count.word.upper()}: {words(archive.get('name', ''))}\n\n{title}{partial}"
        f"{count.sentence}.\n"
    )


def _section(title: str, lines: Iterable[str]) -> str:
    listed = list(lines)
    return f"## {title}\n\n" + "\n".join(listed) + "\n" if listed else ""


def _bullets(texts: Iterable[object]) -> list[str]:
    every = list(texts)
    listed = [f"- {words(text, 500)}" for text in every[:_MAX_LINES]]
    if len(every) > _MAX_LINES:
        listed.append(f"- and {len(every) - _MAX_LINES} more, in the JSON document")
    return listed


def _outputs(document: Mapping[str, Any]) -> list[str]:
    outputs = worst_first(document["outputs"])
    lines = ["| outcome | output | about |", "| --- | --- | --- |"]
    for output in outputs[:_MAX_OUTPUTS]:
        required = "" if output["required"] else " (not required)"
        about = words(detail(output), 300)
        lines.append(f"| {output['verdict']}{required} | {code(output['path'])} | {about} |")
    if len(outputs) > _MAX_OUTPUTS:
        rest = len(outputs) - _MAX_OUTPUTS
        lines += ["", f"{rest} better outputs are not listed here; the JSON document has all."]
    return lines


def _hints(document: Mapping[str, Any]) -> Iterable[str]:
    for hint in document["hints"]:
        place = f"{hint['at']}: " if hint.get("at") else ""
        yield f"{place}{hint['text']}"


def _seal(document: Mapping[str, Any]) -> list[str]:
    seal, run = document["seal"], document["run"]
    network = "**THE NETWORK WAS OPEN**" if seal["network"] else "no network"
    lines = [f"- {words(seal['engine'])} {words(seal['version'])}, {network}"]
    lines += [
        f"- not enforced: {words(f'{n}: {w}')}" for n, w in sorted(seal["not_enforced"].items())
    ]
    if seal["enforced"]:
        lines.insert(1, f"- enforced: {words(', '.join(sorted(seal['enforced'])), 500)}")
    lines += [
        f"- {name.lower()}: {_beside(run, key, show)}"
        for name, show, key in RESOURCES
        if run.get(key) is not None
    ]
    return lines


def _beside(run: Mapping[str, Any], name: str, show: Any) -> str:
    author = run.get(f"author_{name}")
    here: str = show(run[name])
    return here + (f" (the author's run: {show(author)})" if author is not None else "")


def _machines(document: Mapping[str, Any]) -> list[str]:
    rows = [
        f"| {words(name)} | {words(old)} | {words(new)} |"
        for name, old, new in machine_rows(document)
        if old != new
    ]
    return ["| | author | this rerun |", "| --- | --- | --- |", *rows] if rows else []


def _cite(document: Mapping[str, Any]) -> list[str]:
    archive, count = document["archive"], tally(document)
    path = str(archive.get("path") or f"{archive['name']}.repro").rpartition("/")[2]
    only = "".join(
        f" --only {shlex.quote(pattern)}" for pattern in (document["partial"] or {}).get("only", ())
    )
    partial = f"{count.partial}, " if count.partial else ""
    return [
        f"- archive: {code(archive['digest'])}",
        f"- verdict: {partial}{count.word}, by repro {words(document['tool']['version'])}",
        f"- repeat: {code(f'repro verify {shlex.quote(path)} --require {count.bar}{only}', 500)}",
    ]
