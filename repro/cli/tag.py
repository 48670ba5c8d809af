"""``repro tag``."""

from __future__ import annotations

import typer

from repro.cli import context
from repro.cli.render import observer_for

HELP = """Give a version in an archive another name.

\b
  repro tag paper.repro:v3 submitted          v3 is called submitted as well
  repro tag paper.repro:v3 submitted --move   v3 is called submitted instead

The version itself, its digests and which one is the default stay as they are.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tag", help=HELP)(tag)


def tag(
    archive: str = typer.Argument(..., help="ARCHIVE:OLD, or ARCHIVE for the default version."),
    new: str = typer.Argument(..., metavar="NEW", help="The new name."),
    move: bool = typer.Option(False, "--move", help="Instead of the old name."),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Only the result."),
) -> None:
    """Name a version (help text: HELP)."""
    from repro.workflows.names import parse_reference
    from repro.workflows.tag import tag as give

    path, old = parse_reference(archive)
    done = give(
        path, old, new, move=move, clamp=context.clamp(), observer=observer_for(quiet=quiet)
    )
    if json_:
        context.print_json(
            {"schema": "repro.tag/1", "digest": done.digest, "tags": list(done.tags)}
        )
    else:
        print(f"{', '.join(done.tags)}  {done.digest}")
