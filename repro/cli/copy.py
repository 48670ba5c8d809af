"""``repro copy``."""

from __future__ import annotations

import typer

from repro.cli import context
from repro.cli.render import observer_for

HELP = """Copy a version from one place on a registry to another, with all that belongs to it.

\b
  repro copy oci://ghcr.io/lab/paper:v1 oci://registry.example.org/archive/paper:v1
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("copy", help=HELP)(copy)


def copy(
    source: str = typer.Argument(..., metavar="REF", help="oci://HOST[:PORT]/NAME[:TAG]"),
    target: str = typer.Argument(..., metavar="REF", help="Where it is to go."),
    insecure: bool = typer.Option(False, "--insecure", help="Plain HTTP for both."),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Only the result."),
) -> None:
    """Copy (help text: HELP)."""
    from repro.remote.reference import Reference
    from repro.workflows.copy import copy as carry

    result = carry(
        Reference.parse(source), Reference.parse(target), context.environ(), insecure=insecure,
        observer=observer_for(quiet=quiet),
    )  # fmt: skip
    if json_:
        context.print_json(result.to_json())
    else:
        print(f"{result.reference}  {result.digest}")
