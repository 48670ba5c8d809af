"""``repro doctor``."""

from __future__ import annotations

import typer

from repro.cli import context
from repro.errors import EXIT_RUNTIME
from repro.primitives.texts import printable

HELP = """Say what this machine can do, and what mends it where it cannot.

Exit 0 when archives can be verified here, else 6.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", help=HELP)(doctor)


def doctor(json_: bool = typer.Option(False, "--json", help="Print one JSON document.")) -> None:
    """Examine the machine (help text: HELP)."""
    from repro.workflows.doctor import examine

    document = examine(context.environ())
    if json_:
        context.print_json(document)
    else:
        for check in document["checks"]:
            print(f"  {'ok ' if check['ok'] else 'NO '} {check['name']:<22} "
                  f"{printable(check['text'])}")  # fmt: skip
            if check["mend"]:
                print(f"       mend: {printable(check['mend'], 300)}")
        print(f"snapshot: {'yes' if document['snapshot'] else 'NO'}   "
              f"verify: {'yes' if document['verify'] else 'NO'}")  # fmt: skip
    raise typer.Exit(0 if document["verify"] else EXIT_RUNTIME)
