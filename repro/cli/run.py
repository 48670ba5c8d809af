"""``repro run``."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from repro.cli import context
from repro.cli.render import observer_for

HELP = """Run the recorded command, or another one, in the archive's sealed environment.

Nothing of what it writes stays, unless --out names a folder for it.

\b
  repro run paper.repro
  repro run paper.repro -- python -c "import numpy; print(numpy.__version__)"
  repro run --shell paper.repro
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", help=HELP)(run)


def run(
    archive: str = typer.Argument(..., help="The archive, ARCHIVE:TAG, or oci://…"),
    command: list[str] = typer.Argument(None, help="Another command, after `--`."),
    shell: bool = typer.Option(False, "--shell", help="An interactive shell."),
    out: Path | None = typer.Option(None, "--out", help="A new folder for what the run writes."),
    network: str = typer.Option("none", help="none, or host (then nothing is sealed off)."),
    timeout: float | None = typer.Option(None, help="Seconds each step may take."),
    memory: str | None = typer.Option(None, help="Memory of all processes, such as 4G."),
    cpus: str | None = typer.Option(None, help="Processors, such as 2."),
    pids: str | None = typer.Option(None, help="Processes and threads at once."),
    disk: str | None = typer.Option(None, help="What the run may write, such as 10G."),
    engine: str | None = typer.Option(None, help="The engine to use [the first usable]."),
    insecure: bool = typer.Option(False, "--insecure", help="Plain HTTP for oci://."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Only the program's output."),
) -> None:
    """Run sealed (help text: HELP); ends with the program's own status."""
    from repro.errors import UsageError
    from repro.model.limits import limits
    from repro.workflows.names import local_archive
    from repro.workflows.run import RunRequest
    from repro.workflows.run import run as start

    if shell and command:
        raise UsageError("give either --shell or a command")
    observer = observer_for(quiet=quiet)
    path, tag = local_archive(archive, context.environ(), insecure=insecure, observer=observer)
    ended = start(
        RunRequest(
            archive=path,
            tag=tag,
            environ=context.environ(),
            machine=context.machine(),
            command=tuple(command or ()),
            shell=shell,
            network=context.network(network),
            out=out,
            timeout=timeout,
            limits=limits(memory=memory, cpus=cpus, pids=pids, disk=disk),
            engine=engine,
            stdin=sys.stdin.fileno() if shell else None,
        ),
        observer,
    )
    if out is not None and not quiet:
        print(f"{len(ended.written)} files written to {out}", file=sys.stderr)
    raise typer.Exit(ended.exit)
