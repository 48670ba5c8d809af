"""``repro ci``."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from repro.cli import context

HELP = """Continuous integration: every commit is rerun.

The archive is built, pushed under a candidate's tag, rerun sealed from the registry, and the
tag that readers use moves only when the verdict holds.
"""
INIT = """Write what GitHub, GitLab or a plain make need.

\b
  repro ci init --image oci://ghcr.io/lab/paper --github --install ./repro-src
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    own = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
    own.callback()(lambda: None)
    own.command("init", help=INIT)(init)
    app.add_typer(own, name="ci")


def init(
    project: Path = typer.Argument(Path(), help="The project folder."),
    image: str = typer.Option(..., "--image", metavar="REF", help="oci://HOST[:PORT]/NAME"),
    install: str = typer.Option(
        ..., "--install", metavar="SPEC", help="What pip installs as repro: a path or a URL."
    ),
    github: bool = typer.Option(False, "--github", help="A workflow for GitHub Actions."),
    gitlab: bool = typer.Option(False, "--gitlab", help="A pipeline for GitLab."),
    make: bool = typer.Option(False, "--make", help="A makefile, repro.mk [without another]."),
    force: bool = typer.Option(False, "--force", help="Replace files that are there."),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Write CI files (help text: INIT)."""
    from repro.remote.reference import Reference
    from repro.workflows.ci import ci_init

    flags = {"github": github, "gitlab": gitlab, "make": make}
    kinds = tuple(kind for kind, wanted in flags.items() if wanted) or ("make",)
    done = ci_init(project, kinds, Reference.parse(image), install, force=force)
    if json_:
        context.print_json(
            {"schema": "repro.ci/1", "written": list(done.written), "notes": list(done.notes)}
        )
        return
    for path in done.written:
        print(path)
    for note in done.notes:
        print(f"note: {note}", file=sys.stderr)
