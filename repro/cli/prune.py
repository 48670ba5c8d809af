"""``repro prune``."""

from __future__ import annotations

import typer

from repro.cli import context
from repro.cli.render import observer_for

HELP = """Drop versions from an archive, and the bytes that only they needed.

\b
  repro prune paper.repro --keep 3     the three newest stay (and the default one)
  repro prune paper.repro v1 draft

The versions that stay keep their digests. The file is replaced in one step.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("prune", help=HELP)(prune)


def prune(
    archive: str = typer.Argument(..., help="The archive, or ARCHIVE:TAG to drop this one."),
    tags: list[str] = typer.Argument(None, metavar="TAG…", help="The versions to drop."),
    keep: int | None = typer.Option(None, "--keep", metavar="N", help="Drop all but the N newest."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be dropped."),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Only the result."),
) -> None:
    """Drop versions (help text: HELP)."""
    from repro.primitives.texts import human_size
    from repro.workflows.names import parse_reference
    from repro.workflows.prune import prune as drop

    path, tag = parse_reference(archive)
    wanted = [*(tags or ()), *([tag] if tag is not None else ())]
    done = drop(
        path, wanted, keep, clamp=context.clamp(), dry=dry_run, observer=observer_for(quiet=quiet)
    )
    if json_:
        context.print_json(done.to_json())
        return
    would = "would be " if dry_run else ""
    print(f"{would}dropped: {', '.join(done.dropped) or 'nothing'}")
    if done.only_names:
        print(f"  of a version that stays under another name: {', '.join(done.only_names)}")
    print(f"{human_size(done.freed)} {would}set free")
    print(f"left: {', '.join(done.kept)} (default: {done.default})")
