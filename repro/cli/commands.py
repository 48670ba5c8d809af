"""The list of commands, in the order of the help page."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import typer

NAMES = (
    "init",
    "check",
    "snapshot",
    "verify",
    "inspect",
    "extract",
    "run",
    "container",
    "diff",
    "log",
    "tag",
    "prune",
    "rollback",
    "provenance",
    "doctor",
    "cache",
    "push",
    "pull",
    "ls",
    "copy",
    "ci",
    "export",
    "thin",
    "fatten",
)
"""Each is a module of this room with a function ``register``."""


def register(app: typer.Typer, words: Sequence[str]) -> None:
    """Add the command that ``words`` (a command line) begin with, else every command.

    Typer makes parameters of all that is registered before it looks at the line: for one
    command that is work done for nothing.
    """
    named = words[0] if words else ""
    for name in [named] if named in NAMES else NAMES:
        importlib.import_module(f"repro.cli.{name}").register(app)
