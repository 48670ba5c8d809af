"""``repro check``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from repro.cli import context
from repro.primitives.texts import printable

HELP = """Say what would stop a rerun of this project; nothing is run.

Reads Python, R, notebooks, shell and Makefiles, lock files and repro.yml. Each finding
has a place, a sentence and a mend; `stops` means that a sealed rerun of that code fails,
`risk` that results or readers may be let down.

\b
Exit 0 when nothing stops (with --strict: when nothing at all was found), else 1.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check", help=HELP)(check)


def check(
    folder: Path = typer.Argument(Path(), help="The project folder."),
    strict: bool = typer.Option(False, "--strict", help="Count risks as well."),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Look through a project (help text: HELP)."""
    from repro.workflows.check import check as look

    document = look(folder, context.environ())
    if json_:
        context.print_json(document)
    else:
        _draw(document)
    counted = document["stops"] + (document["risks"] if strict else 0)
    raise typer.Exit(1 if counted else 0)


def _draw(document: Mapping[str, Any]) -> None:
    said = None
    for finding in document["findings"]:
        if said not in (None, finding["mend"]):
            print(f"       mend: {printable(said, 300)}")
        said = finding["mend"]
        print(
            f"{finding['level']:<5}  {finding['where']}: {printable(finding['text'], 300)}"
            f"  [{finding['code']}]"
        )
    if said is not None:
        print(f"       mend: {printable(said, 300)}")
    risks = document["risks"]
    print(
        f"{document['stops']} would stop a rerun, {risks} risk{'s' * (risks != 1)}; "
        f"sources read: {document['examined']} of {printable(document['found'])}"
    )
    for limit in document["limits"]:
        print(f"  not seen: {printable(limit, 300)}", file=sys.stderr)
