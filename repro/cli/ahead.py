"""A command line read by a child while this process loads what the command needs.

Reading the options takes typer 0.05 s, loading what a rerun needs as long, and both are Python
at work: threads would take turns. So a fork reads the options and tells them as JSON; this
process never loads typer. Whatever does not come to a plain call of the command (a slip, --help,
an option that ends the line, a child that died) is told by nobody, and the command line is read
here as ever (docs/decisions/0014).
"""

from __future__ import annotations

import os

# Before the fork nothing more is loaded: the child's loading is what all waits for.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Any, NoReturn

    from repro.workflows.opened import Early

_MODULES: Mapping[str, tuple[str, ...]] = {
    "verify": (
        "repro.cli.verifying",
        "repro.workflows.names",
        "repro.workflows.reporting",
        "repro.model.limits",
    ),
    "run": ("repro.cli.running", "repro.workflows.names", "repro.workflows.run"),
}
"""By command: what it needs to begin, the module that performs it first."""
_MEANWHILE: Mapping[str, tuple[str, ...]] = {
    "verify": (
        "repro.workflows.verify",
        "repro.runtime.engines.bubblewrap",
        "repro.store.results",
    ),
    "run": ("repro.runtime.engines.bubblewrap",),
}
"""What it needs later, and can load for as long as the options are not known."""
_telling: list[int] = []
"""In the child: the descriptor that options are told to."""


def carry_out(module: str, options: Mapping[str, Any], **more: Any) -> None:
    """Perform a command whose options are known: ``module``'s ``perform``, and its status.

    ``more`` it gets beside the options. In a child that only reads the command line the
    options are told instead.
    """
    from importlib import import_module

    if _telling:
        _tell(_telling[0], {"module": module, "options": options})
    raise SystemExit(import_module(module).perform(**options, **more))


def worth_it(words: Sequence[str]) -> bool:
    """Whether a child helps: the command is a slow one to load, and a processor is to spare."""
    return bool(words) and words[0] in _MODULES and len(os.sched_getaffinity(0)) > 1


class Ahead:
    """A child that reads the command line ``words``, begun at once."""

    def __init__(self, words: Sequence[str]) -> None:
        self._command, *self._words = words
        self._told, writing = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(self._told)
            _read_line(words, writing)
        os.close(writing)

    def perform(self) -> None:
        """Perform the command with the options that the child tells, and exit with its status.

        Comes back when no options are told: then the line is to be read here. Raises what the
        command raises, SystemExit when it has been performed.
        """
        import contextlib
        import gc
        import json
        from importlib import import_module

        for name in _MODULES[self._command]:
            import_module(name)
        with os.fdopen(self._told, "rb") as told, self._early() as early:
            self._load_more()
            text = told.read()
            # A caller that ignores SIGCHLD leaves it to the kernel to bury the child.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._child, 0)
            if text:
                call = json.loads(text)
                options = {name: _back(value) for name, value in call["options"].items()}
                gc.freeze()
                gc.enable()
                carry_out(call["module"], options, opening=early.opened)

    def _early(self) -> AbstractContextManager[Early]:
        """The archive that the line seems to name: its digests are being checked from now on."""
        from contextlib import closing
        from pathlib import Path

        from repro.cli.context import environ, machine
        from repro.errors import ReproError
        from repro.workflows.opened import Early
        from repro.workflows.places import cache_root

        try:
            words, root = self._words, cache_root(environ())
        except ReproError:
            words, root = [], Path()  # the command will say it
        return closing(Early(words, machine(), root))

    def _load_more(self) -> None:
        from importlib import import_module
        from select import select

        for name in _MEANWHILE[self._command]:
            if select([self._told], [], [], 0)[0]:
                return
            import_module(name)


def _read_line(words: Sequence[str], writing: int) -> NoReturn:
    """The child: options are told, all else ends it without a word."""
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(nowhere, number)
        _telling.append(writing)
        from repro.cli.app import build_app

        build_app(words)()
    finally:
        os._exit(1)


def _tell(writing: int, call: Mapping[str, Any]) -> NoReturn:
    import json

    with os.fdopen(writing, "w", encoding="ascii") as pipe:
        json.dump(call, pipe, default=_path)
    os._exit(0)


def _path(value: object) -> dict[str, str]:
    from pathlib import Path

    if not isinstance(value, Path):
        raise TypeError(f"an option is a {type(value).__name__}")
    return {"path": str(value)}


def _back(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    from pathlib import Path

    return Path(value["path"])
