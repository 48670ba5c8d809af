"""Find the one class each module of a folder holds, in the order of its rank."""

from __future__ import annotations

import importlib
from types import GenericAlias, ModuleType
from typing import TypeVar

T = TypeVar("T")


def load_plugins(package: ModuleType, base: type[T]) -> list[type[T]]:
    """Every concrete subclass of ``base`` defined in a module of ``package``.

    Sorted by ``rank`` (smaller first), then by name, so that the order never depends
    on the file system. Raises TypeError when a module defines none.
    """
    import pkgutil

    found: list[type[T]] = []
    for info in pkgutil.iter_modules(package.__path__):
        found.extend(load_plugin(package, base, info.name))
    return sorted(found, key=lambda cls: (getattr(cls, "rank", 50), cls.__name__))


def load_plugin(package: ModuleType, base: type[T], name: str) -> list[type[T]]:
    """The concrete subclasses of ``base`` in the module ``name`` of ``package`` alone.

    Raises TypeError when it defines none, ImportError when there is no such module.
    """
    module = importlib.import_module(f"{package.__name__}.{name}")
    own = [
        value
        for value in vars(module).values()
        # Python 3.10 takes an alias such as list[int] for a type.
        if isinstance(value, type)
        and not isinstance(value, GenericAlias)
        and issubclass(value, base)
        and value is not base
        and value.__module__ == module.__name__
    ]
    if not own:
        raise TypeError(f"{module.__name__} defines no {base.__name__}")
    return own
