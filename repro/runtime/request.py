"""What every engine refuses before it starts anything: words that no command line can hold."""

from __future__ import annotations

import os
from collections.abc import Iterable

from repro.errors import RerunFailed, UsageError
from repro.model.ports import JoinRequest, SandboxRequest
from repro.primitives.texts import printable

NETWORKS = ("none", "host")


def check_request(request: SandboxRequest) -> None:
    """Refuse a request that could be read as something else than it says.

    A command, a folder and an environment come from the archive, so from a stranger. A NUL
    byte ends a word: behind it an engine would read options of the stranger's making.
    Raises RerunFailed, or UsageError for an unknown ``network``.
    """
    if request.network not in NETWORKS:
        raise UsageError(
            f"unknown network {printable(request.network, 40)!r}", hint="use none or host"
        )
    check_command(request, (*request.layers, request.upper, request.work))


def check_command(request: SandboxRequest | JoinRequest, folders: Iterable[str] = ()) -> None:
    """The command, its folder and its environment alone. Raises RerunFailed."""
    if not request.argv or not request.argv[0]:
        raise _refused("the command is empty")
    if not request.cwd.startswith("/"):
        raise _refused(f"the folder {printable(request.cwd, 80)!r} is not absolute")
    for name in request.environment:
        if not name or "=" in name:
            raise _refused(f"no variable can be called {printable(name, 80)!r}")
    for word in (
        *request.argv, request.cwd, *request.environment.keys(),
        *request.environment.values(), *folders,
    ):  # fmt: skip
        _check_word(word)


def _check_word(word: str) -> None:
    try:
        data = os.fsencode(word)
    except UnicodeEncodeError as error:
        raise _refused(f"{printable(word, 80)!r} cannot be encoded") from error
    if b"\0" in data:
        raise _refused(f"{printable(word, 80)!r} holds a NUL byte")


def _refused(why: str) -> RerunFailed:
    return RerunFailed(
        f"the recorded command cannot be started: {why}",
        hint="no tool writes such a record: do not trust this archive",
        slug="rerun-command",
    )
