"""Two trees of mappings, lists and scalars: JSON, YAML, and what notebooks hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from repro.compare.findings import Findings
from repro.compare.lines import compare_lines

_MAX_SORTED = 100_000


def compare_trees(old: object, new: object, findings: Findings, where: str = "$") -> None:
    """Compare two parsed trees; the order of keys is free, the order of lists is not.

    Integers, strings and booleans are exact, floats have the tolerance, NaN equals NaN,
    and ``1`` equals ``1.0``. Strings lose what `scrub` knows. A place that an ``ignore``
    pattern finds (``$.meta.date``) is left out, as declared.
    """
    if any(pattern.search(where) for pattern in findings.settings.ignore):
        if old != new:
            findings.drop(f"{where}, as declared")
            findings.allow("ignore", ", ".join(p.pattern for p in findings.settings.ignore))
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        _mappings(old, new, findings, where)
    elif isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)):
        _lists(old, new, findings, where)
    elif isinstance(old, str) and isinstance(new, str):
        compare_lines(old, new, findings, where=f"{where} ")
    elif _number(old) and _number(new):
        _numbers(old, new, findings, where)
    elif type(old) is not type(new) or old != new:
        findings.differ(where, _kinds(old, new), _show(old), _show(new))


def _mappings(
    old: Mapping[object, object], new: Mapping[object, object], findings: Findings, where: str
) -> None:
    for key, value in old.items():
        place = f"{where}.{key}"
        if key in new:
            compare_trees(value, new[key], findings, place)
        else:
            _only(place, value, None, findings)
    for key, value in new.items():
        if key not in old:
            _only(f"{where}.{key}", None, value, findings)


def _only(where: str, old: object, new: object, findings: Findings) -> None:
    if any(pattern.search(where) for pattern in findings.settings.ignore):
        findings.drop(f"{where}, as declared")
        findings.allow("ignore", ", ".join(p.pattern for p in findings.settings.ignore))
        return
    text = "only in the recorded file" if new is None else "only in the rerun's file"
    findings.differ(where, text, _show(old), _show(new))


def _lists(old: Sequence[object], new: Sequence[object], findings: Findings, where: str) -> None:
    if len(old) != len(new):
        findings.differ(where, "another number of items", str(len(old)), str(len(new)))
    before = findings.count
    for number, (one, two) in enumerate(zip(old, new, strict=False)):
        compare_trees(one, two, findings, f"{where}[{number}]")
    if findings.count > before + 1 and len(old) == len(new) <= _MAX_SORTED and _moved(old, new):
        findings.explain(
            f"{where} holds the same items in another order: perhaps unordered", once=True
        )


def _moved(old: Sequence[object], new: Sequence[object]) -> bool:
    return sorted(map(repr, old)) == sorted(map(repr, new))


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _numbers(old: object, new: object, findings: Findings, where: str) -> None:
    if isinstance(old, int) and isinstance(new, int):
        if not findings.tally.whole(where, old, new):
            findings.differ(where, "an integer differs", str(old)[:80], str(new)[:80])
        return
    try:
        pair = float(old), float(new)  # type: ignore[arg-type]
    except OverflowError:
        findings.differ(where, "number differs", _show(old), _show(new))
        return
    if type(old) is not type(new) and pair[0] == pair[1]:
        findings.drop(f"how numbers are written ({where}: {old} / {new})")
    findings.number(where, *pair, (repr(old), repr(new)))


def _kinds(old: object, new: object) -> str:
    if type(old) is type(new):
        return "value differs"
    return f"{_kind(old)} became {_kind(new)}"


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, Mapping):
        return "an object"
    names = {str: "text", int: "a number", float: "a number", list: "a list"}
    return names.get(type(value), "a value")


def _show(value: object) -> str | None:
    if isinstance(value, (Mapping, list, tuple)):
        return f"{_kind(value)} of {len(value)}"
    return None if value is None else repr(value)[:200]
