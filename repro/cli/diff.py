"""``repro diff``."""

from __future__ import annotations

import typer

from repro.cli import context

HELP = """Compare two result folders, two files, or the results of two archives.

The same judge as `repro verify`: every path in one or both gets an outcome. Exit 0 when
all meet --require, else 1.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("diff", help=HELP)(diff)


def diff(
    old: str = typer.Argument(..., metavar="A", help="Folder, file or archive (ARCHIVE:TAG)."),
    new: str = typer.Argument(..., metavar="B", help="The same kind of thing."),
    require: str = typer.Option("close", help="The bar: identical, equivalent or close."),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Compare (help text: HELP)."""
    from repro.cli.verify import outcome_of
    from repro.report.jsondoc import outcome_document
    from repro.workflows.diff import diff as compare

    verdict = compare(old, new, outcome_of(require))
    document = outcome_document(verdict)
    if json_:
        context.print_json(document)
    else:
        context.print_verdict(document)
    raise typer.Exit(0 if verdict.reproduced else 1)
