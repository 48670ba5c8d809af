"""``repro rollback``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from repro.cli import context
from repro.cli.render import observer_for

if TYPE_CHECKING:
    from repro.workflows.restore import Restored

HELP = """Make an older version of an archive the default one again; nothing is lost.

\b
  repro rollback paper.repro v2
  repro rollback paper.repro v2 --restore .     and write its files here

--restore writes the project's code and data as they were before that version's run. A file
whose content no version in the archive holds is yours: then nothing is done, unless
--force. Files that the version does not have stay where they are.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rollback", help=HELP)(rollback)


def rollback(
    archive: str = typer.Argument(..., help="The archive, or ARCHIVE:TAG."),
    tag: str = typer.Argument(None, metavar="TAG", help="The version to go back to."),
    restore: Path | None = typer.Option(
        None, "--restore", metavar="FOLDER", help="Write the project's files of TAG here."
    ),
    force: bool = typer.Option(False, "--force", help="Replace files that were changed."),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="No progress."),
) -> None:
    """Go back (help text: HELP)."""
    from repro.errors import UsageError
    from repro.workflows.names import parse_reference
    from repro.workflows.rollback import rollback as go

    path, named = parse_reference(archive)
    wanted = tag or named
    if wanted is None or (tag and named):
        raise UsageError("name one version: repro rollback ARCHIVE TAG")
    done = go(
        path,
        wanted,
        folder=restore,
        force=force,
        environ=context.environ(),
        clamp=context.clamp(),
        observer=observer_for(quiet=quiet),
    )
    if json_:
        context.print_json(done.to_json())
        return
    if done.before == done.default:
        print(f"{path} means {done.default} already  {done.digest}")
    else:
        print(f"{path} means {done.default} now, not {done.before}  {done.digest}")
    if done.restored is not None:
        _print(done.restored)


def _print(restored: Restored) -> None:
    from repro.primitives.texts import printable

    for path in restored.written:
        mark = "replaced" if path in restored.replaced else "wrote"
        print(f"  {mark:<8} {printable(path)}")
    for path in restored.left:
        print(f"  left     {printable(path)} (not in this version)", file=sys.stderr)
    for line in restored.skipped:
        print(f"  skipped  {line}", file=sys.stderr)
    count = len(restored.written)
    print(
        f"{count} file{'' if count == 1 else 's'} written to {restored.folder}, "
        f"{restored.same} the same already"
    )
