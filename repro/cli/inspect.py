"""``repro inspect``."""

from __future__ import annotations

from typing import Any

import typer

from repro.cli import context

HELP = """Show what is inside an archive; reads only the head of the file.

\b
  repro inspect paper.repro
  repro inspect paper.repro --file data/table.csv    where it comes from

ARCHIVE is a file, or FILE:TAG for one of its versions.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("inspect", help=HELP)(inspect)


def inspect(
    archive: str = typer.Argument(..., help="The archive, ARCHIVE:TAG, or oci://…"),
    file: str = typer.Option(
        None, "--file", metavar="PATH", help="Where this file (or folder) of the image comes from."
    ),
    layers: bool = typer.Option(False, "--layers", help="What weighs in each layer, and why."),
    pins: bool = typer.Option(False, "--pins", help="List every package with its pin."),
    sbom: bool = typer.Option(False, "--sbom", help="Print the bill of materials (CycloneDX 1.6)."),
    left_out: bool = typer.Option(False, "--left-out", help="List what was not packed, and why."),
    insecure: bool = typer.Option(False, "--insecure", help="Plain HTTP for oci://."),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Show an archive (help text: HELP)."""
    from repro.cli import inspect_lines as lines
    from repro.workflows.names import local_archive

    reference = local_archive(archive, context.environ(), insecure=insecure)
    if file is not None:
        from repro.workflows.origins import origin

        _print(origin(*reference, file), lines.file_lines, json_)
        return
    from repro.workflows.inspect import bill_of_materials
    from repro.workflows.inspect import inspect as look

    if sbom:
        context.print_json(bill_of_materials(*reference))
        return
    document = look(*reference, contents=layers)
    if json_:
        context.print_json(document)
        return
    shown = [] if left_out and not (pins or layers) else [*lines.archive_lines(document)]
    shown += lines.pin_lines(document["pins"]) if pins else ()
    shown += lines.left_out_lines(document) if left_out else ()
    for line in shown:
        print(line)


def _print(document: dict[str, Any], lines: Any, json_: bool) -> None:
    if json_:
        context.print_json(document)
        return
    for line in lines(document):
        print(line)
