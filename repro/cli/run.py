"""``repro run``."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from repro.cli import context
from repro.cli.bounds import CPUS, DISK, MEMORY, PIDS
from repro.cli.render import observer_for
from repro.cli.serving import announce

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

HELP = """Run the recorded command, or another one, in the archive's sealed environment.

Nothing of what it writes stays, unless --out names a folder for it.

\b
  repro run paper.repro
  repro run paper.repro -- python -c "import numpy; print(numpy.__version__)"
  repro run --shell paper.repro
  repro run --jupyter paper.repro --out mine     (the Jupyter server that the image holds)

--jupyter prints an address of this machine to open in a browser. The server has no network:
a port of this machine leads to it, and to nothing else. Ctrl-C ends all of it.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", help=HELP)(run)


def run(
    archive: str = typer.Argument(..., help="The archive, ARCHIVE:TAG, or oci://…"),
    command: list[str] = typer.Argument(None, help="Another command, after `--`."),
    shell: bool = typer.Option(False, "--shell", help="An interactive shell."),
    jupyter: bool = typer.Option(False, "--jupyter", help="Serve Jupyter to a browser."),
    port: int = typer.Option(0, "--port", min=0, max=65535, help="For --jupyter [a free one]."),
    out: Path | None = typer.Option(None, "--out", help="A new folder for what the run writes."),
    network: str = typer.Option("none", help="none, or host (then nothing is sealed off)."),
    timeout: float | None = typer.Option(None, help="Seconds each step may take."),
    memory: str | None = MEMORY,
    cpus: str | None = CPUS,
    pids: str | None = PIDS,
    disk: str | None = DISK,
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

    if shell + jupyter + bool(command) > 1:
        raise UsageError("give one of --shell, --jupyter and a command")
    if port and not jupyter:
        raise UsageError("--port goes with --jupyter")
    observer = observer_for(quiet=quiet)
    path, tag = local_archive(archive, context.environ(), insecure=insecure, observer=observer)
    request = RunRequest(
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
        terminal=_terminal() if shell else None,
    )
    if jupyter:
        from repro.workflows.jupyter import serve

        stays = (
            f"what is written in the project goes to {out}" if out else "nothing it writes stays"
        )
        ended = serve(request, port, partial(announce, stays), observer)
    else:
        ended = start(request, observer)
    if out is not None and not quiet:
        print(f"{len(ended.written)} files written to {out}", file=sys.stderr)
    raise typer.Exit(ended.exit)


def _terminal() -> Callable[[], AbstractContextManager[int]] | None:
    """The person's terminal for the shell; None where there is none (a pipe, a file)."""
    from repro.primitives.console import lent

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    return partial(lent, sys.stdin.fileno(), sys.stdout.fileno())
