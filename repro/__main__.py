"""``python -m repro`` and the ``repro`` script."""

from __future__ import annotations

import gc
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit with a documented status."""
    # Nothing of what loading makes is garbage: looking for some takes a tenth of the start.
    gc.disable()
    from repro.cli.app import main as command_line

    gc.freeze()
    gc.enable()
    command_line()


if __name__ == "__main__":
    main()
