"""What each layer of a new archive weighs, and why it is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from repro.image.build import BuiltLayer
from repro.image.plan import PlannedLayer
from repro.model.entry import LayerKind
from repro.model.scope import Scope
from repro.primitives.events import Event, EventKind, Observer
from repro.primitives.texts import human_size, printable

_SHOWN = 4
_WHY = {
    LayerKind.BASE: "the same for every project of this system",
    LayerKind.SYSTEM: "system packages that the run read from",
    LayerKind.RUNTIME: "the interpreter",
    LayerKind.PACKAGES: "packages of the language",
    LayerKind.DATA: "large or outside files that the run read",
    LayerKind.CODE: "the project itself",
}
_HOW = {
    Scope.MINIMAL: "only files that were read, and declared data",
    Scope.PACKAGES: "whole packages",
    Scope.FULL: "whole environments",
}
_OF_PACKAGES = (LayerKind.SYSTEM, LayerKind.RUNTIME, LayerKind.PACKAGES)


def name_weights(
    plan: Sequence[PlannedLayer], built: Sequence[BuiltLayer], scope: Scope, observer: Observer
) -> None:
    """One note a layer: packed and plain size, why it is there, what weighs most in it."""
    for planned, each in zip(plan, built, strict=True):
        sizes = (
            f"{human_size(each.layer.descriptor.size)} of "
            f"{human_size(each.layer.uncompressed_size)}"
        )
        text = f"{planned.name}: {sizes}, {_why(planned, scope)}{_heaviest(planned)}"
        observer(Event(kind=EventKind.NOTE, phase="layer", text=text))


def _why(planned: PlannedLayer, scope: Scope) -> str:
    if planned.kind is LayerKind.BASE and scope is Scope.MINIMAL:
        return "settings that repro writes, the same in every archive"
    how = f" ({_HOW[scope]})" if planned.kind in _OF_PACKAGES else ""
    return _WHY[planned.kind] + how


def _heaviest(planned: PlannedLayer) -> str:
    totals: dict[str, int] = {}
    for entry in planned.entries:
        name = entry.group or entry.origin
        totals[name] = totals.get(name, 0) + entry.size
    ordered = sorted(totals.items(), key=lambda item: (-item[1], item[0]))
    return "".join(_parts(ordered))


def _parts(ordered: Sequence[tuple[str, int]]) -> Iterator[str]:
    if len(ordered) < 2:
        return
    shown = [(name, size) for name, size in ordered[:_SHOWN] if size]
    named = ", ".join(f"{printable(name, 60)} {human_size(size)}" for name, size in shown)
    more = f", {len(ordered) - len(shown)} more" if len(ordered) > len(shown) else ""
    yield f": {named}{more}"
