"""``repro pull``."""

from __future__ import annotations

from pathlib import Path

import typer

from repro.cli import context
from repro.cli.render import observer_for

HELP = """Fetch a version from an OCI registry into an archive file.

Every byte is checked; what an interrupted pull brought is continued. An archive that is
there gets one more version.

\b
  repro pull oci://ghcr.io/lab/paper:v1 -o paper.repro
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("pull", help=HELP)(pull)


def pull(
    reference: str = typer.Argument(..., metavar="REF", help="oci://HOST[:PORT]/NAME[:TAG]"),
    output: Path | None = typer.Option(
        None, "-o", "--output", help="The archive to write [NAME.repro]."
    ),
    insecure: bool = typer.Option(False, "--insecure", help="Plain HTTP instead of HTTPS."),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Only the result."),
) -> None:
    """Pull (help text: HELP)."""
    from repro.remote.reference import Reference
    from repro.workflows.pull import pull as fetch

    place = Reference.parse(reference)
    target = output or Path(f"{place.repository.rpartition('/')[2]}.repro")
    result = fetch(
        place, target, context.environ(), insecure=insecure, observer=observer_for(quiet=quiet)
    )
    if json_:
        context.print_json(result.to_json())
    else:
        print(f"{result.path}  {result.digest}")
