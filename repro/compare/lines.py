"""Two texts line by line: scrubbed, with ignored lines, and numbers under a tolerance."""

from __future__ import annotations

import difflib
import os
import re
import time

from repro.compare.base import Beyond
from repro.compare.findings import Findings
from repro.compare.numbers import NUMBER, is_whole, read_number
from repro.compare.scrub import scrub
from repro.compare.settings import Settings

_DIFF_LINES = 1500
_SCRUBBED_LINES = 20_000
_SHOWN = 300
ENOUGH = 1000
_IGNORE_LINE = 2000
PATTERN_SECONDS = 20.0
_SPLIT = re.compile(rf"(?<![\w.])({NUMBER.pattern})(?!\d)")


def compare_lines(
    old: str, new: str, findings: Findings, *, where: str = "", log: bool = False
) -> None:
    """Compare two texts; what is found goes to ``findings``, places prefixed by ``where``.

    Lines that match an ``ignore`` pattern of the rule are left out on both sides, which
    makes the outcome CLOSE at best. Raises Beyond when the patterns take too long.
    """
    if old == new:
        return
    settings = findings.settings
    first, second = _split(old), _split(new)
    if settings.ignore:
        first, second = _ignored(first, second, settings, findings)
    if len(first) == len(second):
        _pairwise(first, second, findings, where, log)
    else:
        _unequal(first, second, findings, where, log)


def _split(text: str) -> list[str]:
    # Only \n ends a line here: a lone \r redraws it (progress bars), and the exotic
    # separators of str.splitlines are content.
    return text.split("\n")


def _ignored(
    old: list[str], new: list[str], settings: Settings, findings: Findings
) -> tuple[list[str], list[str]]:
    deadline = time.monotonic() + PATTERN_SECONDS
    kept = [_keep(side, settings, deadline) for side in (old, new)]
    dropped = [len(side) - len(left) for side, left in zip((old, new), kept, strict=True)]
    if any(dropped):
        patterns = ", ".join(pattern.pattern for pattern in settings.ignore)
        findings.drop(f"{max(dropped)} lines that match the declared pattern {patterns}")
        findings.allow("ignore", patterns)
        if not any(line.strip() for side in kept for line in side):
            findings.undecided("the declared patterns ignore every line")
    return kept[0], kept[1]


def _keep(lines: list[str], settings: Settings, deadline: float) -> list[str]:
    return [line for line in lines if keeps(line, settings, deadline)]


def keeps(line: str, settings: Settings, deadline: float) -> bool:
    """Whether no declared pattern matches a line. Raises Beyond past the deadline."""
    if settings.ignore and time.monotonic() > deadline:
        raise Beyond("the declared `ignore` patterns take too long")
    # A cut line could match by accident, so a long one always stays.
    return len(line) > _IGNORE_LINE or not any(p.search(line) for p in settings.ignore)


def _pairwise(old: list[str], new: list[str], findings: Findings, where: str, log: bool) -> None:
    before, counted = "", findings.count
    for number, (one, two) in enumerate(zip(old, new, strict=True), 1):
        if findings.count >= ENOUGH:
            findings.note(f"{where}lines after {number} were not looked at")
            return
        if one != two:
            compare_line(one, two, before, findings, f"{where}line {number}", log)
        before = one
    if findings.count > counted + 1 and len(old) <= _SCRUBBED_LINES and sorted(old) == sorted(new):
        findings.explain(
            f"{where or 'both '}hold the same lines in another order: perhaps unordered", once=True
        )


def compare_line(
    one: str, two: str, before: str, findings: Findings, where: str, log: bool
) -> None:
    """Compare two lines that differ; ``before`` is the recorded line above."""
    first: list[tuple[str, str]] = []
    second: list[tuple[str, str]] = []
    left = scrub(one, lambda name, text: first.append((name, text)), before=before, log=log)
    right = scrub(two, lambda name, text: second.append((name, text)), before=before, log=log)
    if left == right or _numbers(left, right, findings, where):
        _report(first, second, findings, where)
    else:
        findings.differ(where, _kind(left, right), *_window(one, two))


_DATE_LIKE = re.compile(r"\d{4}[-/]\d\d[-/]\d\d|\d\d:\d\d:\d\d")


def _window(one: str, two: str) -> tuple[str, str]:
    """The part of two long lines where they begin to differ."""
    if max(len(one), len(two)) <= _SHOWN:
        return one, two
    start = len(os.path.commonprefix((one, two)))
    if start < _SHOWN // 4:
        return one, two
    start -= _SHOWN // 4
    return f"…{one[start : start + _SHOWN]}", f"…{two[start : start + _SHOWN]}"


def _kind(left: str, right: str) -> str:
    if _DATE_LIKE.search(left) and _DATE_LIKE.sub("", left) == _DATE_LIKE.sub("", right):
        return "a date or time differs (if it is only the time of the run, declare `ignore`)"
    if NUMBER.sub("", left) == NUMBER.sub("", right):
        return "a number in the text differs"
    return "text differs"


def _report(
    first: list[tuple[str, str]], second: list[tuple[str, str]], findings: Findings, where: str
) -> None:
    pairs = zip(first, second, strict=False)
    changed = [(a[0], a[1], b[1]) for a, b in pairs if a != b and a[0] == b[0]]
    for name, old, new in changed:
        shown = f" ({where}: {old[:60]!s} / {new[:60]!s})" if old or new else f" ({where})"
        findings.drop(name + shown)
    if not changed:
        for name in sorted({name for name, _ in first + second}):
            findings.drop(f"{name} ({where})")


def _numbers(one: str, two: str, findings: Findings, where: str) -> bool:
    """Whether the lines differ only in floats that a declared tolerance covers."""
    if not findings.settings.declared:
        return False
    left, right = _SPLIT.split(one), _SPLIT.split(two)
    if len(left) != len(right) or left[::2] != right[::2]:
        return False
    pairs = []
    for old, new in zip(left[1::2], right[1::2], strict=True):
        if old == new:
            continue
        numbers = read_number(old), read_number(new)
        if None in numbers or (is_whole(old) and is_whole(new)):
            return False
        pairs.append((old, new))
    for old, new in pairs:
        findings.number(where, float(old), float(new), (old, new))
    return True


def _unequal(old: list[str], new: list[str], findings: Findings, where: str, log: bool) -> None:
    """Different counts of lines are a difference; show which, as far as that is cheap."""
    left, right = old, new
    if max(len(old), len(new)) <= _SCRUBBED_LINES:
        left = [scrub(line, _nobody, log=log) for line in old]
        right = [scrub(line, _nobody, log=log) for line in new]
    start = 0
    while start < min(len(left), len(right)) and left[start] == right[start]:
        start += 1
    end = 0
    while end < min(len(left), len(right)) - start and left[-1 - end] == right[-1 - end]:
        end += 1
    one, two = left[start : len(left) - end], right[start : len(right) - end]
    before = findings.count
    findings.note(f"{where}lines: {len(old)} recorded, {len(new)} from the rerun")
    if len(one) <= _DIFF_LINES and len(two) <= _DIFF_LINES:
        _show(one, two, start, findings, where)
    if findings.count == before:
        findings.differ(
            f"{where}line {start + 1}",
            "lines added or missing",
            "\n".join(old[start : start + 3]),
            "\n".join(new[start : start + 3]),
        )


def _show(one: list[str], two: list[str], start: int, findings: Findings, where: str) -> None:
    matcher = difflib.SequenceMatcher(None, one, two)
    words = {"replace": "lines differ", "delete": "lines missing", "insert": "lines added"}
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag != "equal":
            findings.differ(
                f"{where}line {start + i1 + 1}",
                words[tag],
                "\n".join(one[i1:i2][:20]) if i2 > i1 else None,
                "\n".join(two[j1:j2][:20]) if j2 > j1 else None,
            )


def _nobody(name: str, text: str) -> None:
    return None
