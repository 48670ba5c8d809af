"""``repro thin``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from repro.cli import context
from repro.cli.bounds import COMPILING, CPUS, DISK, MEMORY, PIDS
from repro.cli.render import observer_for
from repro.primitives.texts import human_size, printable

if TYPE_CHECKING:
    from repro.workflows.thin import Thinned

HELP = """Leave out of an archive what package registries can give back.

Files of wheels and Debian packages are left out, with their addresses and hashes; compiled
Python files too: the archive's own interpreter compiles them again, sealed. Every layer is
made again once before the thin archive is written. It must be made whole to be rerun.
--memory, --cpus, --pids, --disk and --timeout limit the interpreter that compiles.

\b
  repro thin paper.repro -o paper.thin.repro
  repro fatten paper.thin.repro -o paper.repro
"""

_SHOWN = 12


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("thin", help=HELP)(thin)


def thin(
    archive: str = typer.Argument(..., help="The archive."),
    output: Path = typer.Option(..., "-o", "--output", help="The thin archive to write."),
    keep_bytecode: bool = typer.Option(
        False, "--keep-bytecode", help="Keep compiled Python files: larger, no engine needed."
    ),
    engine: str | None = typer.Option(None, help="The engine that compiles [the first usable]."),
    memory: str | None = MEMORY,
    cpus: str | None = CPUS,
    pids: str | None = PIDS,
    disk: str | None = DISK,
    timeout: float | None = COMPILING,
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Only the result."),
    verbose: bool = typer.Option(False, "-v", "--verbose", help="List every package that stays."),
) -> None:
    """Make an archive thin (help text: HELP)."""
    from repro.model.limits import limits
    from repro.workflows.names import whole_file
    from repro.workflows.thin import ThinRequest
    from repro.workflows.thin import thin as make

    made = make(
        ThinRequest(
            archive=whole_file(archive),
            output=output,
            environ=context.environ(),
            bytecode=not keep_bytecode,
            engine=engine,
            limits=limits(memory=memory, cpus=cpus, pids=pids, disk=disk),
            timeout=timeout,
        ),
        observer_for(quiet=quiet or json_, verbose=verbose),
    )
    if json_:
        context.print_json(made.to_json())
        return
    if not quiet:
        for line in stays(made, verbose):
            print(line, file=sys.stderr)
    for line in summary(made):
        print(line)


def stays(made: Thinned, verbose: bool) -> Iterator[str]:
    """What stays inside, and why."""
    listed = sorted(made.kept.items())
    shown = listed if verbose else listed[:_SHOWN]
    for name, why in shown:
        yield f"stays inside: {printable(name, 80)}: {why}"
    if len(shown) < len(listed):
        yield f"stays inside: {len(listed) - len(shown)} packages more (-v lists them)"


def summary(made: Thinned) -> Iterator[str]:
    """The result in two lines."""
    yield f"{made.path}  {made.digest}"
    if made.thin is None:
        yield "nothing could be left out: it is a copy of the archive"
        return
    share = 100 * made.after / made.before if made.before else 100.0
    yield (
        f"{human_size(made.after)}, {share:.1f} % of {human_size(made.before)}; to make it whole "
        f"{len(made.thin.artifacts)} files are fetched ({human_size(made.thin.download)})"
    )
