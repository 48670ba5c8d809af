"""Texts that need not fit into memory, line by line: the rules are those of ``lines``."""

from __future__ import annotations

import time
from collections.abc import Iterator

from repro.compare.findings import Findings
from repro.compare.lines import ENOUGH, PATTERN_SECONDS, compare_line, keeps
from repro.compare.linestream import Lines, skip_same


def compare_long(old: Lines, new: Lines, findings: Findings, *, log: bool) -> None:
    """Compare two long texts. Raises Damaged for what is no text, Beyond past a bound.

    Where one side has lines more, what follows is not put in order again: the first line that
    has no like is named, and that the rest was not looked at.
    """
    deadline = time.monotonic() + PATTERN_SECONDS
    sides = [_kept(side, findings, deadline) for side in (old, new)]
    before, counted, looked_at = "", findings.count, False
    while True:
        # Lines that are skipped are not asked whether they are to be ignored: with patterns, not
        # before one was seen that is not.
        if (looked_at or not findings.settings.ignore) and old.ahead(1) == new.ahead(1):
            looked_at = skip_same(old, new, quotes=False) > 0 or looked_at
        one, two = next(sides[0], None), next(sides[1], None)
        looked_at = looked_at or bool((one or "").strip() or (two or "").strip())
        where = f"line {max(old.number, new.number)}"
        if one is None and two is None:
            if old.last.endswith(b"\n") != new.last.endswith(b"\n"):
                findings.differ("the last line", "one side does not end its last line (cut off?)")
            break
        if one is None or two is None:
            findings.differ(where, "lines added or missing", one, two)
            break
        if one != two:
            compare_line(one, two, before, findings, where, log)
        if findings.count >= counted + ENOUGH:
            findings.note(f"lines after {old.number} were not looked at")
            break
        before = one
    if any(side.dropped for side in (old, new)):
        patterns = ", ".join(pattern.pattern for pattern in findings.settings.ignore)
        findings.drop(f"lines that match the declared pattern {patterns}")
        findings.allow("ignore", patterns)
        if not looked_at:
            findings.undecided("the declared patterns ignore every line")


def _kept(side: Lines, findings: Findings, deadline: float) -> Iterator[str]:
    for line in side:
        text = line.removesuffix("\n")
        if keeps(text, findings.settings, deadline):
            yield text
        else:
            side.dropped += 1
