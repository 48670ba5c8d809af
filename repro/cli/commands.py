"""The list of commands, in the order of the help page."""

from __future__ import annotations

import typer

from repro.cli import (
    diff,
    doctor,
    extract,
    init,
    inspect,
    run,
    snapshot,
    verify,
)


def register(app: typer.Typer) -> None:
    """Add every command to the application."""
    for module in (init, snapshot, verify, inspect, extract, run, diff, doctor):
        module.register(app)
