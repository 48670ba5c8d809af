"""``python -m repro`` and the ``repro`` script."""

from __future__ import annotations

import gc
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit with a documented status."""
    # Nothing of what loading makes is garbage: looking for some takes a tenth of the start.
    gc.disable()
    from repro.cli.ahead import Ahead, worth_it

    words = sys.argv[1:]
    child = Ahead(words) if worth_it(words) else None
    from repro.cli.ending import ended

    def call() -> None:
        if child is not None:
            child.perform()
        _here()

    ended(call)


def _here() -> None:
    from repro.cli.app import command_line

    gc.freeze()
    gc.enable()
    command_line()


if __name__ == "__main__":
    main()
