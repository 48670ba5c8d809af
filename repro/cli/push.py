"""``repro push``."""

from __future__ import annotations

import typer

from repro.cli import context
from repro.cli.render import observer_for

HELP = """Send a version of an archive to an OCI registry.

Layers that the registry has are not sent again; the tag moves when all has arrived. Log in
with `docker login` or `podman login`: repro reads what they keep.

\b
  repro push paper.repro oci://ghcr.io/lab/paper:v1
  repro push paper.repro:v2 oci://localhost:5000/paper --insecure
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("push", help=HELP)(push)


def push(
    archive: str = typer.Argument(..., help="The archive, or ARCHIVE:TAG."),
    reference: str = typer.Argument(..., metavar="REF", help="oci://HOST[:PORT]/NAME[:TAG]"),
    mount: list[str] = typer.Option(
        [], "--mount-from", metavar="NAME", help="A repository there that may have the layers."
    ),
    insecure: bool = typer.Option(False, "--insecure", help="Plain HTTP instead of HTTPS."),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Only the result."),
) -> None:
    """Push (help text: HELP)."""
    from repro.remote.reference import Reference
    from repro.workflows.names import parse_reference
    from repro.workflows.push import push as send

    path, tag = parse_reference(archive)
    result = send(
        path, tag, Reference.parse(reference), context.environ(), insecure=insecure,
        mounts=tuple(mount), observer=observer_for(quiet=quiet),
    )  # fmt: skip
    if json_:
        context.print_json(result.to_json())
    else:
        print(f"{result.reference}  {result.digest}")
