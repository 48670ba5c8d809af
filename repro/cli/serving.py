"""What is said when a server inside can be reached."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from repro.primitives.texts import printable

if TYPE_CHECKING:
    from repro.workflows.jupyter import Address


def announce(stays: str, found: Address) -> None:
    """The address on stdout, for a program that waits for it too; the rest on stderr."""
    print(found.url, flush=True)
    if found.server == "jupyter_server":
        print(
            "the image has no JupyterLab: open the address in an editor (VS Code: Existing "
            "Jupyter Server), not in a browser",
            file=sys.stderr,
        )
    print(f"Ctrl-C ends it; {printable(stays)}", file=sys.stderr, flush=True)
