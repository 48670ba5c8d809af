"""A command line read by a child while this process loads what the command needs.

Reading the options takes typer 0.05 s, loading what a rerun needs as long, and both are Python
at work: threads would take turns. So a fork reads the options and tells them as JSON; this
process never loads typer. Whatever does not come to a plain call of the command (a slip, --help,
an option that ends the line, a child that died) is told by nobody, and the command line is read
here as ever (docs/decisions/0014).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

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
    "verify": ("repro.workflows.verify", "repro.runtime.engines.bubblewrap"),
    "run": ("repro.runtime.engines.bubblewrap",),
}
"""What it needs later, and can load for as long as the options are not known."""
_telling: list[int] = []
"""In the child: the descriptor that options are told to."""


def carry_out(module: str, options: Mapping[str, Any]) -> None:
    """Perform a command whose options are known: ``module``'s ``perform``, and its status.

    In a child that only reads the command line the options are told instead.
    """
    if _telling:
        _tell(_telling[0], {"module": module, "options": options})
    raise SystemExit(importlib.import_module(module).perform(**options))


def worth_it(words: Sequence[str]) -> bool:
    """Whether a child helps: the command is a slow one to load, and a processor is to spare."""
    return bool(words) and words[0] in _MODULES and len(os.sched_getaffinity(0)) > 1


def ahead(words: Sequence[str]) -> bool:
    """Perform the command of ``words`` with options read by a child, and exit with its status.

    False when no options were told: then the line is to be read here. Raises what the command
    raises, SystemExit when it has been performed.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _read_line(words, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        _load(words[0], reading)
        text = told.read()
    # A caller that ignores SIGCHLD leaves it to the kernel to bury the child.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)
    if text:
        call = json.loads(text)
        options = {name: _back(value) for name, value in call["options"].items()}
        gc.freeze()
        gc.enable()
        carry_out(call["module"], options)
    return False


def _load(command: str, told: int) -> None:
    for name in _MODULES[command]:
        importlib.import_module(name)
    for name in _MEANWHILE[command]:
        if select.select([told], [], [], 0)[0]:
            return
        importlib.import_module(name)


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
    with os.fdopen(writing, "w", encoding="ascii") as pipe:
        json.dump(call, pipe, default=_path)
    os._exit(0)


def _path(value: object) -> dict[str, str]:
    if not isinstance(value, Path):
        raise TypeError(f"an option is a {type(value).__name__}")
    return {"path": str(value)}


def _back(value: Any) -> Any:
    return Path(value["path"]) if isinstance(value, dict) else value
