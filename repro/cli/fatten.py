"""``repro fatten``."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from repro.cli import context
from repro.cli.bounds import COMPILING, CPUS, DISK, MEMORY, PIDS
from repro.cli.render import observer_for
from repro.primitives.texts import human_size

HELP = """Make a thin archive whole: fetch what it lacks, check it, pack it as it was.

Wheels come from the package index that pip is set to, Debian packages from this machine's apt
sources, then from the public archives. With --from FOLDER they are looked for there first.
Compiled Python files are made by the archive's own interpreter, inside the sandbox;
--memory, --cpus, --pids, --disk and --timeout limit it.

\b
  repro fatten paper.thin.repro -o paper.repro
  repro fatten paper.thin.repro -o paper.repro --offline --from wheels --from debs
"""
_FROM_HELP = "A folder of .whl and .deb files, found by their bytes; repeatable."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("fatten", help=HELP)(fatten)


def fatten(
    archive: str = typer.Argument(..., help="The thin archive."),
    output: Path = typer.Option(..., "-o", "--output", help="The whole archive to write."),
    folders: list[Path] = typer.Option([], "--from", metavar="FOLDER", help=_FROM_HELP),
    offline: bool = typer.Option(False, "--offline", help="Ask nobody: --from alone."),
    engine: str | None = typer.Option(None, help="The engine that compiles [the first usable]."),
    memory: str | None = MEMORY,
    cpus: str | None = CPUS,
    pids: str | None = PIDS,
    disk: str | None = DISK,
    timeout: float | None = COMPILING,
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Only the result."),
) -> None:
    """Make an archive whole (help text: HELP)."""
    from repro.model.limits import limits
    from repro.workflows.fatten import FattenRequest
    from repro.workflows.fatten import fatten as make
    from repro.workflows.names import whole_file

    made = make(
        FattenRequest(
            archive=whole_file(archive),
            output=output,
            environ=context.environ(),
            folders=tuple(folders),
            offline=offline,
            engine=engine,
            limits=limits(memory=memory, cpus=cpus, pids=pids, disk=disk),
            timeout=timeout,
        ),
        observer_for(quiet=quiet or json_),
    )
    if json_:
        context.print_json(made.to_json())
        return
    print(f"{made.path}  {made.digest}")
    if made.same:
        print(f"{human_size(made.size)}: byte for byte the archive that was made thin")
    else:
        layers = f"{len(made.recompressed)} layers" if made.recompressed else "its documents"
        print(
            f"{human_size(made.size)}: the same image and recording; {layers} packed otherwise "
            "than in the archive that was made thin"
        )
    if not quiet:
        print(f"next: repro verify {made.path}", file=sys.stderr)
