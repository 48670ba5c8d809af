"""The shape of the circumstances: what readers of an archive may take for granted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from repro.errors import ArchiveError
from repro.model.remote_input import RemoteSource

_NULL = type(None)
_SHAPES: Mapping[str, tuple[type, ...]] = {
    "created": (str,),
    "tool": (dict,),
    "host": (dict,),
    "tracer": (str,),
    "capture": (str,),
    "scope": (str,),
    "not_observed": (list,),
    "steps": (list,),
    "processes": (list,),
    "processes_count": (int,),
    "files": (list,),
    "files_count": (int,),
    "connections": (list,),
    "git": (dict, _NULL),
    "environment_altered": (list,),
    "in_place": (list,),
    "left_out": (list,),
    "left_out_count": (int,),
    "packages": (list,),
    "warnings": (list,),
    "self_test": (dict,),
    "secrets": (dict, _NULL),
    "identity": (dict, _NULL),
    "anonymous": (bool, dict, _NULL),
    "remote_inputs": (list,),
    "message": (str, _NULL),
    "container": (dict, _NULL),
}
_TEXTS = ("not_observed", "environment_altered", "in_place", "warnings")
_NAMES: Mapping[type, str] = {dict: "an object", list: "an array", str: "text", int: "a number",
                              bool: "true or false"}  # fmt: skip


def check_shape(circumstances: Mapping[str, Any]) -> None:
    """Raises ArchiveError for a field of another type than is written; unknown ones are fine."""
    for name, types in _SHAPES.items():
        value = circumstances.get(name)
        if name not in circumstances or isinstance(value, types):
            if not (isinstance(value, bool) and bool not in types):
                continue
        raise ArchiveError(f"circumstances.{name} is not {_NAMES[types[0]]}", slug="archive-json")
    for name in _TEXTS:
        if not all(isinstance(item, str) for item in circumstances.get(name, ())):
            raise ArchiveError(f"circumstances.{name} holds something that is no text",
                               slug="archive-json")  # fmt: skip
    for step in circumstances.get("steps", ()):
        if not isinstance(step, dict) or not isinstance(step.get("name"), str):
            raise ArchiveError("circumstances.steps holds a step without a name",
                               slug="archive-json")  # fmt: skip
    list(RemoteSource.recorded(circumstances))
