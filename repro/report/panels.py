"""One output on the page: its line in the list, and all the evidence below it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from repro.model.outcome import Outcome
from repro.primitives.texts import human_size
from repro.report.budget import Budget
from repro.report.cells import notebook_cells
from repro.report.escape import esc, esc_block
from repro.report.pictures import pair_of_pictures, single_picture
from repro.report.text import detail
from repro.report.textdiff import diff_table, text_of

TONES = {
    "identical": ("=", "good"),
    "equivalent": ("~", "good"),
    "close": ("≈", "near"),
    "unexpected": ("+", "warn"),
    "undecided": ("?", "warn"),
    "different": ("≠", "bad"),
    "missing": ("∅", "bad"),
}
_SMALL = 300_000
_SHOWN = 10
Sides = tuple[bytes | None, bytes | None]


def badge(verdict: str) -> str:
    """The outcome as a mark, a word and a colour."""
    mark, tone = TONES[verdict]
    return f'<span class="badge {tone}">{mark} {esc(verdict)}</span>'


def row(output: Mapping[str, Any]) -> str:
    """One output as a line of a table, where a page cannot hold the evidence of all."""
    verdict = output["verdict"]
    return (
        f'<tr data-verdict="{esc(verdict)}"><td>{badge(verdict)}</td>'
        f'<td><span class="path">{_name(output["path"])}</span>'
        f' <span class="about">{esc(detail(output), 200)}</span></td></tr>'
    )


def _name(path: str) -> str:
    # Spaces at an end would not be seen.
    return esc(path if path == path.strip() else f"“{path}”", 1000)


def panel(
    output: Mapping[str, Any], sides: Sides, budget: Budget, *, opened: bool, printed: bool = True
) -> str:
    """One output with its evidence; ``sides`` are its bytes where they are at hand.

    On paper it has its evidence only when it is ``printed``.
    """
    verdict = output["verdict"]
    body = "".join(part for part in _evidence(output, sides, budget) if part)
    state = " open" if opened else ""
    later = "" if printed else " later"
    return (
        f'<details class="output{later}" data-verdict="{esc(verdict)}"{state}>'
        f'<summary>{badge(verdict)}<span class="path">{_name(output["path"])}</span>'
        f'<span class="about">{esc(detail(output), 300)}</span></summary>'
        f'<div class="body">{body}</div></details>'
    )


def _evidence(output: Mapping[str, Any], sides: Sides, budget: Budget) -> Iterable[str]:
    if output.get("copied_from") is not None:
        yield (
            '<div class="alert warn"><span>Its bytes are those of the input '
            f"<code>{esc(output['copied_from'])}</code>: copied, not computed?</span></div>"
        )
    yield _notes("What was not compared, and other remarks", output.get("notes", ()))
    yield _numbers(output)
    yield _differences(output)
    yield _notes("Left out, because it carries no result", output.get("removed", ()))
    yield _content(output, sides, budget)
    yield _files(output)


def _notes(title: str, items: Iterable[object]) -> str:
    listed = "".join(f"<li>{esc(item, 600)}</li>" for item in items)
    return f'<h3>{title}</h3><ul class="notes">{listed}</ul>' if listed else ""


def _numbers(output: Mapping[str, Any]) -> str:
    numbers, tolerance = output.get("numbers"), dict(output.get("tolerance") or {})
    rows: list[tuple[str, object]] = []
    if numbers:
        rows = [
            ("Numbers compared", numbers["n"]),
            ("of them different", numbers["differ"]),
            ("largest absolute difference", _figure(numbers["max_abs"])),
            ("largest relative difference", _figure(numbers["max_rel"])),
            ("largest difference in steps of double precision", _figure(numbers["max_ulp"])),
            ("NaN on one side only", numbers["nan_mismatch"] or None),
            ("first difference at", numbers["first"]),
        ]
    source = tolerance.pop("from", None)
    if tolerance:
        allowed = ", ".join(f"{name} {_figure(value)}" for name, value in tolerance.items())
        rows.append(("Allowed", f"{allowed} (set by: {_WHO.get(source, source)})"))
    listed = "".join(
        f'<tr><th scope="row">{esc(name)}</th><td class="num">{esc(value)}</td></tr>'
        for name, value in rows
        if value is not None
    )
    return f"<h3>Numbers</h3><table>{listed}</table>" if listed else ""


_WHO = {"default": "repro's default", "repro.yml": "the author, sealed in the archive",
        "reviewer": "the reviewer of this run"}  # fmt: skip


def _figure(value: object) -> object:
    return format(value, ".6g") if isinstance(value, float) else value


def _differences(output: Mapping[str, Any]) -> str:
    found = list(output.get("differences") or ())
    if not found:
        return ""
    valued = any("old" in item or "new" in item for item in found)
    first = _difference_table(found[:_SHOWN], valued)
    rest = found[_SHOWN:]
    more = (
        f"<details><summary>{len(rest)} more</summary>{_difference_table(rest, valued)}</details>"
        if rest
        else ""
    )
    return f"<h3>Differences</h3>{first}{more}"


def _difference_table(found: Iterable[Mapping[str, Any]], valued: bool) -> str:
    names = ("Where", "What", "Recorded", "Rerun") if valued else ("Where", "What")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = "".join(
        f"<tr><td>{esc(item['where'], 300)}</td><td>{esc(item['text'], 300)}</td>"
        + "".join(_value(item.get(side)) for side in ("old", "new") if valued)
        + "</tr>"
        for item in found
    )
    return (
        f'<div class="scroll"><table class="differences"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _value(text: object) -> str:
    return f"<td><code>{esc_block(text, 600)}</code></td>" if text is not None else "<td></td>"


def _content(output: Mapping[str, Any], sides: Sides, budget: Budget) -> str:
    path = output["path"]
    old, new = sides
    if output["verdict"] == "identical":
        small = old is not None and len(old) < _SMALL
        return single_picture(path, old, budget) if small and old is not None else ""
    pictures = pair_of_pictures(path, old, new, budget)
    if pictures:
        return f"<h3>Pictures</h3>{pictures}"
    if path.lower().endswith(".ipynb"):
        cells = notebook_cells(old, new, budget)
        if cells:
            return cells
    left, right = text_of(old), text_of(new)
    if left is None or right is None:
        return ""
    table = diff_table(left, right)
    return f"<h3>Text</h3>{table}" if table and budget.take(len(table), path) else ""


def _files(output: Mapping[str, Any]) -> str:
    rows = []
    for word, side in (("recorded", output.get("recorded")), ("rerun", output.get("produced"))):
        if side:
            size = human_size(side["size"])
            rows.append(
                f'<tr><th scope="row">{word}</th><td class="num">{size}</td>'
                f'<td class="mono">sha256:{esc(side["sha256"])}</td></tr>'
            )
    how = (
        f'<tr><th scope="row">compared by</th><td colspan="2">{esc(output["comparator"])}</td></tr>'
    )
    return f"<h3>File</h3><table>{''.join(rows)}{how}</table>"


def worst_first(outputs: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Outputs as a reviewer wants them: worst first, then by path."""
    return sorted(outputs, key=lambda o: (-Outcome(o["verdict"]).rank, o["path"]))
