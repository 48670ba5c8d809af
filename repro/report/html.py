"""A verification as one HTML file: nothing loaded, everything escaped, readable for years."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from repro.primitives.resources import template
from repro.report.budget import Budget
from repro.report.escape import esc
from repro.report.panels import Sides, panel, row, worst_first
from repro.report.sections import about_sections, header, outputs_head
from repro.report.tally import tally

MAX_PAGE = 20 << 20
_MAX_PANELS = 1000
_OPENED = 5
_PRINTED = 100


def verify_page(
    document: Mapping[str, Any],
    figures: Mapping[str, Sides] | None = None,
    *,
    max_size: int = MAX_PAGE,
) -> str:
    """The page of a ``repro.verify/1`` (or ``repro.diff/1``) document.

    ``figures`` has the bytes of both sides by path, where pictures, notebooks and texts
    are to be shown. The page holds no reference to anything outside it, a policy under
    which only its own script runs, and works without script. It stays below ``max_size``
    bytes: what does not fit is named on it. Write it as UTF-8.
    """
    # A tenth is left for what stands around the outputs, which is bounded by itself.
    budget = Budget(max_size * 9 // 10)
    style, script = template("report.css"), template("report.js")
    parts = {
        "policy": _policy(style, script),
        "generator": esc(f"repro {document.get('tool', {}).get('version', '')}".strip()),
        "title": esc(_title(document), 200),
        "style": style,
        "script": script,
        "header": header(document),
        "main": _main(document, figures or {}, budget),
        "footer": _footer(document),
    }
    # One pass, so that a marker inside somebody's file name is not filled in.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match.group(1)], template("report.html"))


def _title(document: Mapping[str, Any]) -> str:
    name = document.get("archive", {}).get("name", "comparison")
    partial = tally(document).partial
    about = f" ({partial})" if partial else ""
    return f"{document['verdict'].upper()}{about} · {name} · repro"


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _main(document: Mapping[str, Any], figures: Mapping[str, Sides], budget: Budget) -> str:
    outputs = worst_first(document["outputs"])
    listed = []
    for number, output in enumerate(outputs[:_MAX_PANELS]):
        opened = number < _OPENED and output["verdict"] not in ("identical", "equivalent")
        sides = figures.get(output["path"], (None, None))
        before = budget.left
        shown = panel(output, sides, budget, opened=opened, printed=number < _PRINTED)
        # What the panel's pictures and diffs took is counted already.
        own = len(shown.encode("utf-8")) - (before - budget.left)
        if budget.take(max(0, own), output["path"]):
            listed.append(shown)
    rest = _rest(outputs[_MAX_PANELS:], budget) + _left(outputs[:_MAX_PANELS], listed)
    paper = (
        f'<p class="printed">On paper only the first {_PRINTED} outputs have their evidence, '
        "identical ones none; the page itself has more.</p>"
    )
    note = paper if len(outputs) > _PRINTED else ""
    body = outputs_head(outputs) + note + "".join(listed) + rest
    return f'<section id="outputs">{body}</section>' + about_sections(document, budget.left_out)


def _rest(outputs: Sequence[Mapping[str, Any]], budget: Budget) -> str:
    """The outputs beyond the panels, a line each: the best ones, as they stand worst first."""
    if not outputs:
        return ""
    rows = []
    for output in outputs:
        line = row(output)
        if not budget.take(len(line.encode("utf-8")), output["path"]):
            break
        rows.append(line)
    hidden = len(outputs) - len(rows)
    more = f"<p>{hidden} more are in the JSON document only.</p>" if hidden else ""
    return (
        f"<h3>{len(outputs)} further outputs, without their evidence</h3>"
        f'<table class="rest"><tbody>{"".join(rows)}</tbody></table>{more}'
    )


def _left(outputs: Sequence[Mapping[str, Any]], listed: Sequence[str]) -> str:
    hidden = len(outputs) - len(listed)
    text = f"<p>{hidden} further outputs are not listed here; the JSON document has all.</p>"
    return text if hidden else ""


def _footer(document: Mapping[str, Any]) -> str:
    version = esc(document.get("tool", {}).get("version", ""))
    return (
        f"<p>Written by repro {version} from a document of schema <code>{esc(document['schema'])}"
        '</code>. <span class="keys">Keys: <kbd>j</kbd> next output, <kbd>k</kbd> previous, '
        "<kbd>Enter</kbd> opens and closes.</span></p>"
    )
