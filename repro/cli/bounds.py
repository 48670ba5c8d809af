"""The options that limit what runs sealed; the same words in every command that has them."""

from __future__ import annotations

from typing import Any

import typer

MEMORY: Any = typer.Option(None, help="Memory of all processes, such as 4G.")
CPUS: Any = typer.Option(None, help="Processors, such as 2.")
PIDS: Any = typer.Option(None, help="Processes and threads at once.")
DISK: Any = typer.Option(None, help="What the run may write, such as 10G.")
COMPILING: Any = typer.Option(None, help="Seconds each interpreter may compile [1800].")
