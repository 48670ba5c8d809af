"""``repro run``."""

from __future__ import annotations

from pathlib import Path

import typer

from repro.cli.ahead import carry_out
from repro.cli.bounds import CPUS, DISK, MEMORY, PIDS

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
    carry_out("repro.cli.running", dict(locals()))
