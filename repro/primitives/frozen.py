"""Frozen keyword-only dataclasses with shared methods: made in a tenth of the time.

The methods that ``dataclasses`` writes and compiles anew for each class took a quarter of
the start of ``repro verify`` (bench/README.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: object) -> Callable[[Any], Any]:
        """What type checkers alone understand (PEP 681)."""
        return lambda decorator: decorator


T = TypeVar("T")


@dataclass_transform(
    eq_default=True, frozen_default=True, kw_only_default=True, field_specifiers=(field,)
)
def frozen(cls: type[T]) -> type[T]:
    """``cls`` as ``dataclass(frozen=True, kw_only=True)`` would make it.

    ``fields``, ``replace`` and ``asdict`` of ``dataclasses`` work on it. A missing or an
    unknown argument raises TypeError, an assignment FrozenInstanceError.
    """
    made = dataclass(init=False, repr=False, eq=False, kw_only=True)(cls)
    defaults = {f.name: f.default for f in fields(made) if f.default is not MISSING}  # type: ignore[arg-type]
    factories = {
        f.name: f.default_factory
        for f in fields(made)  # type: ignore[arg-type]
        if f.default_factory is not MISSING
    }
    names = tuple(f.name for f in fields(made))  # type: ignore[arg-type]
    wanted = frozenset(names)

    def __init__(self: object, /, **given: Any) -> None:
        values = {**defaults, **given} if defaults else given
        if values.keys() != wanted:
            values = _completed(made.__name__, names, factories, values)
        self.__dict__.update(values)

    def __hash__(self: object) -> int:
        return hash(tuple(map(self.__dict__.__getitem__, names)))

    def __repr__(self: object) -> str:
        return f"{made.__qualname__}({', '.join(f'{n}={getattr(self, n)!r}' for n in names)})"

    for method in (__init__, __hash__, __repr__, __eq__, __setattr__, __delattr__):
        if method.__name__ not in cls.__dict__ or method.__name__ == "__hash__":
            setattr(made, method.__name__, method)
    return made


def _completed(
    name: str,
    names: tuple[str, ...],
    factories: Mapping[str, Callable[[], object]],
    values: Mapping[str, object],
) -> dict[str, object]:
    made = {key: factory() for key, factory in factories.items() if key not in values}
    found = {**values, **made}
    unknown = sorted(found.keys() - set(names))
    missing = [key for key in names if key not in found]
    if unknown:
        raise TypeError(f"{name}() has no field {', '.join(unknown)}")
    if missing:
        raise TypeError(f"{name}() lacks {', '.join(missing)}")
    return found


def __eq__(self: object, other: object) -> bool:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return self.__dict__ == other.__dict__


def __setattr__(self: object, name: str, value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def __delattr__(self: object, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")
