"""Frozen keyword-only records with shared methods: made in a tenth of the time of dataclasses.

The methods that ``dataclasses`` writes and compiles anew for each class took a quarter of
the start of ``repro verify``, and loading it a tenth (bench/README.md). To type checkers and
to the functions of ``dataclasses`` these are dataclasses all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: object) -> Callable[[Any], Any]:
        """What type checkers alone understand (PEP 681)."""
        return lambda decorator: decorator


T = TypeVar("T")


class _Made:
    """The default of a field that is made anew for each record."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        self.factory = factory


def field(*, default_factory: Callable[[], T]) -> T:
    """A field whose default is made anew for each record, as by ``dataclasses.field``."""
    return _Made(default_factory)  # type: ignore[return-value]


@dataclass_transform(
    eq_default=True, frozen_default=True, kw_only_default=True, field_specifiers=(field,)
)
def frozen(cls: type[T]) -> type[T]:
    """``cls`` as ``dataclass(frozen=True, kw_only=True)`` would make it, without inheritance.

    ``fields``, ``replace`` and ``asdict`` of ``dataclasses`` work on it. A missing or an
    unknown argument raises TypeError, an assignment FrozenInstanceError.
    """
    types: Mapping[str, object] = cls.__dict__.get("__annotations__", {})
    names = tuple(name for name in types if not str(types[name]).startswith("ClassVar"))
    given_by_class = {name: cls.__dict__[name] for name in names if name in cls.__dict__}
    factories = {n: v.factory for n, v in given_by_class.items() if isinstance(v, _Made)}
    defaults = {n: v for n, v in given_by_class.items() if n not in factories}
    if any(type(value).__module__ == "dataclasses" for value in defaults.values()):
        raise TypeError(f"{cls.__name__}: a default of dataclasses.field; take frozen.field")
    for name in factories:
        delattr(cls, name)
    wanted = frozenset(names)

    def __init__(self: object, /, **given: Any) -> None:
        values = {**defaults, **given} if defaults else given
        if values.keys() != wanted:
            values = _completed(cls.__name__, names, factories, values)
        self.__dict__.update(values)

    def __hash__(self: object) -> int:
        return hash(tuple(map(self.__dict__.__getitem__, names)))

    def __repr__(self: object) -> str:
        return f"{cls.__qualname__}({', '.join(f'{n}={getattr(self, n)!r}' for n in names)})"

    for method in (__init__, __hash__, __repr__, __eq__, __setattr__, __delattr__):
        if method.__name__ not in cls.__dict__ or method.__name__ == "__hash__":
            setattr(cls, method.__name__, method)
    cls.__dataclass_fields__ = _Fields(names, types, defaults, factories)  # type: ignore[attr-defined]
    return cls


def replace(record: T, **changes: Any) -> T:
    """A copy with other values, as ``dataclasses.replace`` makes it, which need not be loaded."""
    return type(record)(**{**record.__dict__, **changes})


class _Fields:
    """``__dataclass_fields__`` of a class, made when somebody asks for them."""

    def __init__(
        self,
        names: tuple[str, ...],
        types: Mapping[str, object],
        defaults: Mapping[str, object],
        factories: Mapping[str, Callable[[], object]],
    ) -> None:
        self._asked = names, types, defaults, factories

    def __get__(self, instance: object, owner: type) -> Mapping[str, Any]:
        import dataclasses

        names, types, defaults, factories = self._asked
        kinds: list[tuple[str, Any, Any]] = []
        for name in names:
            given: dict[str, Any] = {}
            if name in defaults:
                given["default"] = defaults[name]
            elif name in factories:
                given["default_factory"] = factories[name]
            kinds.append((name, types[name], dataclasses.field(**given)))
        twin = dataclasses.make_dataclass(owner.__name__, kinds, kw_only=True, eq=False)
        found: Mapping[str, Any] = {field.name: field for field in dataclasses.fields(twin)}
        owner.__dataclass_fields__ = found  # type: ignore[attr-defined]
        return found


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
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def __delattr__(self: object, name: str) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")
