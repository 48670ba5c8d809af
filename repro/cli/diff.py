"""``repro diff``."""

from __future__ import annotations

import typer

from repro.cli import context

HELP = """Compare two result folders, two files, or two archives.

The same judge as `repro verify`: every path in one or both gets an outcome. Exit 0 when
all meet --require, else 1. Of two archives (or versions: paper.repro:v1 paper.repro:v2) the
recorded results are compared; what else changed is said below and does not count.

\b
  repro diff paper.repro:v1 paper.repro:v2 --layers    packages, files by layer, what runs
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("diff", help=HELP)(diff)


def diff(
    old: str = typer.Argument(..., metavar="A", help="Folder, file or archive (ARCHIVE:TAG)."),
    new: str = typer.Argument(..., metavar="B", help="The same kind of thing."),
    require: str = typer.Option("close", help="The bar: identical, equivalent or close."),
    layers: bool = typer.Option(
        False, "--layers", help="List what else changed: packages, files by layer, what runs."
    ),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Compare (help text: HELP)."""
    from repro.cli.verifying import outcome_of
    from repro.errors import UsageError
    from repro.report.jsondoc import outcome_document
    from repro.workflows.diff import are_archives
    from repro.workflows.diff import diff as compare

    bar = outcome_of(require)
    archives = are_archives(old, new)
    if layers and not archives:
        raise UsageError("--layers compares two archives, or two versions of one")
    verdict = compare(old, new, bar)
    document = outcome_document(verdict)
    if not archives:
        found = None
    else:
        from repro.workflows.changes import changes

        found = changes(old, new)
    if json_:
        context.print_json(document if found is None else {**document, "changes": found})
    else:
        context.print_verdict(document)
        if found is not None:
            from repro.cli.changes_lines import change_lines, summary_line

            for line in change_lines(found) if layers else [summary_line(found)]:
                print(line)
    raise typer.Exit(0 if verdict.reproduced else 1)
