"""The options of an output's rule, read strictly: a bad one is named and never loosens."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from repro.primitives.frozen import frozen
from repro.primitives.texts import printable

RTOL = 1e-9
ATOL = 1e-12
_KNOWN = ("rtol", "atol", "as", "ignore", "max_pixels", "min_ssim", "sort", "key")
_MAX_PATTERNS = 20
_MAX_PATTERN = 200


@frozen
class Settings:
    """What a rule allows. ``source`` tells who allowed the tolerance.

    ``declared`` is true when somebody named a tolerance, which is what lets numbers
    inside prose differ at all. ``max_pixels`` is a share between 0 and 1.
    """

    rtol: float = RTOL
    atol: float = ATOL
    source: str = "default"
    declared: bool = False
    kind: str | None = None
    ignore: tuple[re.Pattern[str], ...] = ()
    sort: bool = False
    key: tuple[str, ...] = ()
    max_pixels: float | None = None
    min_ssim: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def tolerance(self) -> dict[str, str]:
        """The ``tolerance`` of a Comparison."""
        return {
            "rtol": format(self.rtol, "g"),
            "atol": format(self.atol, "g"),
            "from": self.source,
        }


def read_settings(
    options: Mapping[str, object], reviewer: Mapping[str, object] | None = None
) -> Settings:
    """Read sealed options, and over them a reviewer's own tolerance.

    A reviewer may set ``rtol``, ``atol`` and ``max_pixels`` only. Numbers may be text,
    since sealed options have no floats. What cannot be read is left out and noted.
    """
    notes = [f"unknown option {printable(str(k), 40)}" for k in options if k not in _KNOWN]
    own = {
        name: value
        for name, value in (reviewer or {}).items()
        if name in ("rtol", "atol", "max_pixels")
    }
    merged = {**options, **own}
    rtol = _number(merged, "rtol", notes)
    atol = _number(merged, "atol", notes)
    declared = rtol is not None or atol is not None
    return Settings(
        rtol=RTOL if rtol is None else rtol,
        atol=ATOL if atol is None else atol,
        source=_source(own, declared or "max_pixels" in options or "sort" in options),
        declared=declared,
        kind=str(merged["as"]) if isinstance(merged.get("as"), str) else None,
        ignore=_patterns(merged.get("ignore"), notes),
        sort=merged.get("sort") in (True, "true"),
        key=_names(merged.get("key")),
        max_pixels=_share(merged, "max_pixels", notes),
        min_ssim=_number(merged, "min_ssim", notes),
        notes=tuple(notes),
    )


def _source(own: Mapping[str, object], declared: bool) -> str:
    if own:
        return "reviewer"
    return "repro.yml" if declared else "default"


def _number(options: Mapping[str, object], name: str, notes: list[str]) -> float | None:
    value = options.get(name)
    if value is None:
        return None
    try:
        number = float(str(value)) if not isinstance(value, bool) else math.nan
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        notes.append(f"option {name} ignored: {printable(str(value), 40)} is no tolerance")
        return None
    return number


def _share(options: Mapping[str, object], name: str, notes: list[str]) -> float | None:
    value = options.get(name)
    if isinstance(value, str) and value.strip().endswith("%"):
        found = _number({name: value.strip()[:-1].strip()}, name, notes)
        found = None if found is None else found / 100
    else:
        found = _number(options, name, notes)
    if found is not None and found > 1:
        notes.append(f"option {name} ignored: {printable(str(value), 40)} is more than all")
        return None
    return found


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    return ()


def _patterns(value: object, notes: list[str]) -> tuple[re.Pattern[str], ...]:
    found = []
    for text in _names(value)[:_MAX_PATTERNS]:
        reason = refuse_pattern(text)
        if reason is None:
            found.append(re.compile(text))
        else:
            notes.append(f"pattern {printable(text, 60)} ignored: {reason}")
    if len(_names(value)) > _MAX_PATTERNS:
        notes.append(f"only the first {_MAX_PATTERNS} patterns are used")
    return tuple(found)


def refuse_pattern(text: str) -> str | None:
    """Why a stranger's regular expression is not run, or None when it is.

    Python's engine backtracks, so what can take exponential time is refused: a repeat
    around a repeat or around alternatives, a back-reference, more than three open repeats.
    """
    if len(text) > _MAX_PATTERN:
        return f"longer than {_MAX_PATTERN} characters"
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        return f"not a regular expression ({error})"
    if re.search(r"\\[1-9]|\(\?P=|\(\?\(", text):
        return "it refers back to a group"
    return _runaway(re.sub(r"\\.", "_", re.sub(r"\[\^?\]?(?:\\.|[^\]\\])*\]", "_", text)))


def _runaway(text: str) -> str | None:
    """Scan a pattern without escapes and classes for repeats that multiply."""
    risky: list[bool] = [False]
    opened = 0
    position = 0
    while position < len(text):
        char = text[position]
        repeat = re.compile(r"[*+]|\{\d*,?\d*\}").match(text, position)
        if char == "(":
            risky.append(False)
        elif char == ")" and len(risky) > 1:
            inner = risky.pop()
            follow = re.compile(r"[*+]|\{\d*,?\d*\}").match(text, position + 1)
            if follow and inner:
                return "a repeat around a repeat or alternatives can run for ever"
            risky[-1] = risky[-1] or inner
        elif char == "|" and len(risky) > 1:
            risky[-1] = True
        elif repeat:
            opened += 1
            risky[-1] = True
            position = repeat.end() - 1
        position += 1
    return "more than three repeats" if opened > 3 else None
