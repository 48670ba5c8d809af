"""Records with every text in them mapped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar, cast

from repro.model.observation import Closure, Observation
from repro.model.remote_input import RemoteSource
from repro.primitives.digest import Digest
from repro.project.identity import Identity
from repro.project.path_map import PathMap
from repro.workflows.packing import PackRequest

T = TypeVar("T")


def mapped(value: T, change: Callable[[str], str]) -> T:
    """A record, or a tuple, list or mapping of them, with each text changed; numbers stay.

    Another sequence becomes a tuple. Raises TypeError for what may hide a text.
    """
    return cast("T", _mapped(value, change))


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Enum):
        return value
    if isinstance(value, Mapping):
        return {change(key): _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return tuple(_mapped(item, change) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {
            field.name: _mapped(getattr(value, field.name), change) for field in fields(value)
        }
        return type(value)(**changed)
    if value is None or isinstance(value, (int, float, bytes, Digest)):
        return value
    # What is not known may hold a text: nobody's name goes in by being overlooked.
    raise TypeError(f"a {type(value).__name__} among what is to be anonymous")


def documents_mapped(
    ready: PackRequest, paths: PathMap, identity: Identity
) -> tuple[Observation, Closure, tuple[RemoteSource, ...], tuple[str, ...], Mapping[str, Any]]:
    """What the circumstances are written from: paths mapped, any other telling word taken out.

    The closure's files are not touched here.
    """

    def change(text: str) -> str:
        return identity.removed(paths.text(text))

    closure = replace(ready.closure, files=())
    return (
        mapped(ready.observation, change),
        mapped(closure, change),
        mapped(ready.remote, change),
        mapped(ready.warnings, change),
        mapped(ready.facts, change),
    )
