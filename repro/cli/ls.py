"""``repro ls``."""

from __future__ import annotations

import typer

from repro.cli import context

HELP = """List the versions in a repository of an OCI registry.

\b
  repro ls oci://ghcr.io/lab/paper
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ls", help=HELP)(ls)


def ls(
    reference: str = typer.Argument(..., metavar="REF", help="oci://HOST[:PORT]/NAME"),
    insecure: bool = typer.Option(False, "--insecure", help="Plain HTTP instead of HTTPS."),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """List (help text: HELP)."""
    from repro.primitives.texts import human_size, printable
    from repro.remote.reference import Reference
    from repro.workflows.registries import list_tags

    found = list_tags(Reference.parse(reference), context.environ(), insecure)
    if json_:
        context.print_json({"schema": "repro.ls/1", "tags": found})
        return
    for each in found:
        tag = printable(str(each["tag"]), 60)
        if each["repro"]:
            size = human_size(each["size"])
            print(f"{tag:<20} {str(each['digest'])[:19]}  {size:>9}  {each['architecture']}")
        else:
            print(f"{tag:<20} not an archive of repro")
