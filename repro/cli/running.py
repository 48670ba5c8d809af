"""``repro run`` once its options are known; nothing here needs typer (``ahead``)."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from repro.cli import context
from repro.cli.render import observer_for
from repro.cli.serving import announce

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from repro.workflows.opened import Opening


def perform(
    *,
    archive: str,
    command: list[str],
    shell: bool,
    jupyter: bool,
    port: int,
    out: Path | None,
    network: str,
    timeout: float | None,
    memory: str | None,
    cpus: str | None,
    pids: str | None,
    disk: str | None,
    engine: str | None,
    insecure: bool,
    quiet: bool,
    opening: Opening | None = None,
) -> int:
    """Run as the options say; the program's own status. ``opening`` opens the archive."""
    from repro.errors import UsageError
    from repro.model.limits import limits
    from repro.workflows.names import local_archive
    from repro.workflows.opened import Opened
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
        opening=opening or Opened,
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
    return ended.exit


def _terminal() -> Callable[[], AbstractContextManager[int]] | None:
    """The person's terminal for the shell; None where there is none (a pipe, a file)."""
    from repro.primitives.console import lent

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    return partial(lent, sys.stdin.fileno(), sys.stdout.fileno())
