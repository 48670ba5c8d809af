"""``repro init``."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from repro.cli import context

HELP = """Write a repro.yml from what is found in this folder.

A repro.yml is only needed for several steps, declared outputs or tolerances;
`repro snapshot -- COMMAND` works without one.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init", help=HELP)(init)


def init(
    project: Path = typer.Argument(Path(), help="The project folder."),
    force: bool = typer.Option(False, "--force", help="Replace an existing repro.yml."),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Write a starter (help text: HELP)."""
    from repro.workflows.init import init as write

    path, text = write(project, force=force)
    if json_:
        context.print_json({"schema": "repro.init/1", "path": str(path), "text": text})
        return
    print(text, end="")
    print(f"wrote {path}; next: repro snapshot", file=sys.stderr)
