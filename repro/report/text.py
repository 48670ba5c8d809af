"""The verdict in a terminal: one line per output, then the verdict and the hints."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from repro.model.outcome import Outcome
from repro.primitives.texts import printable
from repro.report.stability import pinned_lines, probe_summary
from repro.report.tally import tally

_MARKS = {
    "identical": ("=", "=", "32"),
    "equivalent": ("~", "~", "32"),
    "close": ("≈", "c", "32"),
    "unexpected": ("+", "+", "33"),
    "undecided": ("?", "?", "33"),
    "different": ("≠", "!", "31"),
    "missing": ("∅", "-", "31"),
}
_ASCII = str.maketrans({"·": "-", "…": "...", "×": "x", "µ": "u", "±": "+-", "≈": "~", "→": "->"})
_WIDEST_PATH = 44
_MOST_LINES = 200


def verdict_lines(
    document: Mapping[str, Any], *, colour: bool = False, ascii_only: bool = False
) -> str:
    """The text for a person of a ``repro.verify/1`` or ``repro.diff/1`` document.

    Worst outputs last, so that they stand next to the verdict. Every string of the
    document is escaped; nothing but our own colours reaches the terminal.
    """
    outputs = sorted(document["outputs"], key=lambda o: (_rank(o["verdict"]), o["path"]))
    hidden = max(0, len(outputs) - _MOST_LINES)
    width = min(_WIDEST_PATH, max((len(printable(o["path"])) for o in outputs), default=0))
    lines = [f"      … {hidden} better ones are not listed"] if hidden else []
    lines += [_output(output, width, colour, ascii_only) for output in outputs[hidden:]]
    lines += [f"  !   {printable(text, 300)}" for text in document.get("warnings", ())]
    lines.append(_verdict(document, colour))
    lines += _hints(document)
    lines += pinned_lines(document)
    lines += probe_summary(document)
    text = "\n".join(lines)
    return (
        text.translate(_ASCII).encode("ascii", "backslashreplace").decode()
        if (ascii_only)
        else text
    )


def detail(output: Mapping[str, Any]) -> str:
    """What to say about one output in a few words (not escaped)."""
    verdict = output["verdict"]
    parts = []
    if output.get("summary"):
        parts.append(str(output["summary"]))
    if verdict in ("close", "different"):
        parts.extend(_numbers(output))
    if verdict == "different" and output.get("differences"):
        first = output["differences"][0]
        if first["text"] not in parts:
            parts.append(f"{first['where']}: {first['text']}")
        parts.extend(_guess(output))
    if verdict == "equivalent" and output.get("removed"):
        parts.append(f"without {_few(output['removed'])}")
    if verdict == "undecided" and output.get("notes"):
        parts.append(str(output["notes"][-1]))
    if not output.get("required", True) and verdict != "unexpected":
        parts.append("not required")
    if output.get("copied_from") is not None:
        parts.append(f"same bytes as the input {output['copied_from']}")
    return ", ".join(parts)


def _guess(output: Mapping[str, Any]) -> Iterable[str]:
    """The first guess among the remarks; comparators word each with this very word."""
    guesses = (str(note) for note in output.get("notes", ()) if "perhaps" in str(note))
    yield from itertools.islice(guesses, 1)


def _rank(verdict: str) -> int:
    return Outcome(verdict).rank


def _few(removed: list[str]) -> str:
    names = list(dict.fromkeys(text.split(" (")[0] for text in removed))
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _numbers(output: Mapping[str, Any]) -> Iterable[str]:
    numbers = output.get("numbers") or {}
    if numbers.get("max_rel") is not None:
        steps = numbers.get("max_ulp")
        ulp = f" ({steps} ulp)" if steps is not None and steps < 10_000 else ""
        yield f"max rel {numbers['max_rel']:.2g}{ulp}"
    tolerance = output.get("tolerance") or {}
    if "rtol" in tolerance and numbers.get("differ"):
        whose = tolerance.get("from", "default")
        yield f"allowed {tolerance['rtol']:g} ({whose})"
    for name in ("ignore", "sort", "max_pixels"):
        if name in tolerance:
            yield f"{name} {tolerance[name]} ({tolerance.get('from', 'repro.yml')})"


def _output(output: Mapping[str, Any], width: int, colour: bool, ascii_only: bool) -> str:
    verdict = output["verdict"]
    mark, plain, code = _MARKS[verdict]
    word = verdict.upper() if _rank(verdict) >= Outcome.DIFFERENT.rank else verdict
    head = f"{plain if ascii_only else mark}  {word:<10}"
    if colour:
        head = f"\x1b[{code}m{head}\x1b[0m"
    path = printable(output["path"])
    return f"      {head}  {path:<{width}}  {printable(detail(output), 160)}".rstrip()


def _verdict(document: Mapping[str, Any], colour: bool) -> str:
    count = tally(document)
    word = count.verdict.upper()
    if colour:
        word = f"\x1b[1;{'32' if count.reproduced else '31'}m{word}\x1b[0m"
    nouns = "output reproduces" if count.required == 1 else "outputs reproduce"
    asked = "" if count.bar == Outcome.CLOSE.value else f" ({count.bar} required)"
    partial = f"   {printable(count.partial)}" if count.partial else ""
    network = "   NETWORK OPEN" if count.open else ""
    return f"{word}{network}{partial}   {count.good} of {count.required} {nouns}{asked}"


def _hints(document: Mapping[str, Any]) -> Iterable[str]:
    for hint in document.get("hints", ()):
        place = f"{printable(str(hint['at']), 80)} " if hint.get("at") else ""
        text = printable(str(hint.get("text", "")), 300)
        yield f"perhaps: {place}{text} [{printable(str(hint.get('code', '')), 40)}]"
