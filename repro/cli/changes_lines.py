"""What changed between two versions (``repro.changes/1``) as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from repro.primitives.texts import human_size, printable

_KINDS = ("code", "data", "packages", "runtime", "system", "base")
_MARKS = {"added": "+", "removed": "-", "changed": "~"}
_EACH = 50


def summary_line(changes: Mapping[str, Any]) -> str:
    """One line: how much beside the results differs."""
    parts = []
    packages = sum(len(found) for found in changes["packages"].values())
    if packages:
        parts.append(f"{packages} package{'s' if packages > 1 else ''}")
    files = {kind: len(found) for kind, found in _by_layer(changes).items()}
    if files:
        shown = ", ".join(f"{kind} {count}" for kind, count in files.items())
        count = sum(files.values())
        parts.append(f"{count} file{'s' if count > 1 else ''} ({shown})")
    parts += [{"steps": "the command", "root": "the folder", "environment": "variables"}[key]
              for key in changes["run"]]  # fmt: skip
    if not parts and _silent(changes):
        parts.append("permissions of files")
    if not parts:
        return "beside the results nothing differs"
    return f"also different: {' · '.join(parts)}  (--layers lists them)"


def change_lines(changes: Mapping[str, Any]) -> Iterator[str]:
    """What runs, packages, then files by layer; files of a package are counted."""
    yield from _run_lines(changes["run"])
    yield from _package_lines(changes["packages"])
    same = changes["layers"]["same"]
    yield f"layers    {same} the same"
    by_layer = _by_layer(changes)
    for kind in _silent(changes):
        yield f"  {kind:<9} the same files; other permissions"
    for kind, found in by_layer.items():
        sizes = [_weight(changes, which, kind) for which in ("removed", "added")]
        yield f"  {kind:<9} {human_size(sizes[0])} -> {human_size(sizes[1])} (changed layers)"
        yield from _file_lines(found)
    yield from _output_lines(changes["outputs"])


def _run_lines(run: Mapping[str, Any]) -> Iterator[str]:
    if "steps" in run:
        old, new = (_commands(run["steps"][side]) for side in ("old", "new"))
        if old == new:
            yield f"command   ~ {printable(new, 160)}  (its settings: --json)"
        else:
            yield f"command   - {printable(old, 400)}"
            yield f"          + {printable(new, 400)}"
    if "root" in run:
        yield f"folder    - {printable(run['root']['old'], 160)}"
        yield f"          + {printable(run['root']['new'], 160)}"
    for variable, sides in run.get("environment", {}).items():
        for mark, side in (("-", "old"), ("+", "new")):
            if sides[side] is not None:
                yield f"variable  {mark} {printable(f'{variable}={sides[side]}', 160)}"


def _commands(steps: Sequence[Mapping[str, Any]]) -> str:
    return " && ".join(step.get("notebook") or " ".join(step["argv"]) for step in steps)


def _package_lines(packages: Mapping[str, Any]) -> Iterator[str]:
    if not any(packages.values()):
        yield "packages  the same"
        return
    yield "packages"
    for what, mark in _MARKS.items():
        for each in packages[what]:
            name = f"{printable(each['source'], 20)}:{printable(each['name'], 80)}"
            if what == "changed":
                versions = f"{_versions(each['old'])} -> {_versions(each['new'])}"
                if each["rebuilt"]:
                    versions = f"{_versions(each['new'])}, other bytes"
            else:
                versions = _versions(each["versions"])
            yield f"  {mark} {name} {versions}"


def _versions(versions: Sequence[str]) -> str:
    return ", ".join(printable(version, 40) for version in versions)


def _by_layer(changes: Mapping[str, Any]) -> dict[str, list[tuple[str, Mapping[str, Any]]]]:
    found: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for what, mark in _MARKS.items():
        for each in changes["files"][what]:
            found.setdefault(each["layer"], []).append((mark, each))
    order = {kind: number for number, kind in enumerate(_KINDS)}
    return dict(sorted(found.items(), key=lambda item: order.get(item[0], len(order))))


def _silent(changes: Mapping[str, Any]) -> list[str]:
    """Kinds of layers that differ, though no file in their lists does."""
    layers = changes["layers"]
    kinds = {each["kind"] for which in ("removed", "added") for each in layers[which]}
    return sorted(kinds - set(_by_layer(changes)))


def _weight(changes: Mapping[str, Any], which: str, kind: str) -> int:
    return sum(each["size"] for each in changes["layers"][which] if each["kind"] == kind)


def _file_lines(found: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    single = [item for item in found if ":" not in item[1]["origin"]]
    for mark, each in sorted(single, key=lambda item: str(item[1]["path"]))[:_EACH]:
        yield f"    {mark} {printable(each['path'])}{_sizes(each)}"
    if len(single) > _EACH:
        yield f"    … and {len(single) - _EACH} more (--json lists each)"
    counts: dict[str, dict[str, int]] = {}
    for mark, each in found:
        if ":" in each["origin"]:
            of_one = counts.setdefault(each["origin"], {})
            of_one[mark] = of_one.get(mark, 0) + 1
    for origin, marks in sorted(counts.items()):
        shown = ", ".join(f"{mark}{marks[mark]}" for mark in _MARKS.values() if mark in marks)
        yield f"    {printable(origin, 80)}: files {shown}"


def _sizes(each: Mapping[str, Any]) -> str:
    if "old" not in each:
        return f"  {human_size(each['size'])}" if "size" in each else f"  -> {each['target']!r}"
    if "old_layer" in each and each["old"] == each["new"]:
        return f"  (from layer {printable(each['old_layer'], 20)}, the same bytes)"
    sizes = [each[side].get("size") for side in ("old", "new")]
    if None in sizes:
        return ""
    return f"  {human_size(sizes[0])} -> {human_size(sizes[1])}"


def _output_lines(outputs: Mapping[str, Any]) -> Iterator[str]:
    if not any(outputs.values()):
        yield "outputs   the same bytes"
        return
    yield "outputs"
    for what, mark in _MARKS.items():
        for each in outputs[what]:
            yield f"  {mark} {printable(each['path'])}{_sizes(each)}"
