"""``repro run --jupyter``: the image's own Jupyter server, sealed, behind a port of this machine.

There is no network inside: the server listens on a unix socket in the sandbox's memory, and
a relay out here hands the connections of a loopback port on to it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from repro.errors import Interrupted, ReproError, RerunFailed, UsageError
from repro.model.ports import SandboxResult
from repro.model.recording import Claims
from repro.model.step import Step
from repro.primitives.events import Event, EventKind, Observer, silent
from repro.primitives.frozen import frozen, replace
from repro.primitives.relay import Relay, own_loopback
from repro.primitives.resources import template
from repro.runtime.inside import connect_inside, read_inside
from repro.workflows.rerun import REACHED, step_request
from repro.workflows.run import Prepared, RunEnded, RunRequest, keep, prepared

_FOLDER = "/dev/shm/repro-jupyter"  # templates/jupyter_launcher.py has the same
NONE_HERE = 97
"""The launcher's status when its interpreter has no server."""
_PAUSE = 0.1  # seconds between two looks
_SLOW = 60.0  # seconds after which one is told that nothing answers yet
_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_SAID = re.compile(rb"(jupyterlab|notebook|nbclassic|jupyter_server) ([0-9a-f]{48})")
TAIL = 4096
"""Bytes of a server's log that are kept: it may serve, and talk, for weeks."""


@frozen
class Address:
    """Where the server is reached. ``server`` is what was started: jupyterlab, notebook, nbclassic
    or jupyter_server, which has no pages of its own (editors connect to it)."""

    url: str
    server: str


def serve(
    request: RunRequest, port: int, ready: Callable[[Address], None], observer: Observer = silent
) -> RunEnded:
    """Serve until the server ends or the person interrupts (exit 0); all of it ends then.

    ``port`` 0 is any free one. ``ready`` is told the address, in a thread. Files written in
    the project are kept where ``request.out`` says, else nothing stays. Raises UsageError
    when the image has no server or the port is taken, RerunFailed when the server fails.
    """
    link = Link()
    with relayed(link, port) as relay, prepared(request, observer) as run:
        with (run.folder / "log").open("wb") as log:
            during = partial(ushered, link, relay, ready, observer)
            result = _first(run, link, log.fileno(), during)
        if result is not None and not link.answered:
            how = REACHED[result.reached] if result.reached else f"ended with status {result.exit}"
            raise failed(how, _end_of(run.folder / "log"))
        exit_status = 0 if result is None else result.exit
        return RunEnded(exit=exit_status, written=keep(request, run, observer), seal=run.seal)


def interpreters(claims: Claims) -> tuple[str, ...]:
    """The Python programs of the image that may have a server, the analysis's own first."""
    own = [step.argv[0] for step in claims.steps]
    fit = [each for each in own if _PYTHON.fullmatch(each.rpartition("/")[2])]
    return tuple(dict.fromkeys([*fit, "python3", "python"]))


class Link:
    """From the port to the sandbox that runs now, if one does."""

    def __init__(self) -> None:
        self.init: int | None = None
        self.answered = False

    def connect(self) -> socket.socket:
        """The server's socket. Raises OSError."""
        if self.init is None:
            raise ConnectionRefusedError("nothing runs")
        return connect_inside(self.init, f"{_FOLDER}/sock")

    def started(self) -> tuple[str, str] | None:
        """The server's name and its token, once it listens; else None."""
        if self.init is None:
            return None
        try:
            said = _SAID.fullmatch(read_inside(self.init, f"{_FOLDER}/token", 200))
            self.connect().close()
        except OSError:
            return None
        if said is None:
            return None
        return said.group(1).decode(), said.group(2).decode()


@contextlib.contextmanager
def ushered(
    link: Link, relay: Relay, ready: Callable[[Address], None], observer: Observer,
    find: Callable[[], None] = lambda: None,
) -> Iterator[None]:  # fmt: skip
    """Meanwhile: ``ready`` is told the address as soon as the server of ``link`` answers.

    ``find`` is called first, to tell ``link`` the sandbox.
    """
    over = threading.Event()

    def look() -> None:
        with contextlib.suppress(ReproError):  # then the run has ended, and says why itself
            find()
        slow = time.monotonic() + _SLOW
        while not over.wait(_PAUSE):
            found = link.started()
            if found is not None:
                link.answered = True
                url = f"http://{relay.address}:{relay.port}/?token={found[1]}"
                ready(Address(url=url, server=found[0]))
                return
            if time.monotonic() > slow:
                slow = float("inf")
                text = "the server does not answer yet; still waiting"
                observer(Event(kind=EventKind.WARNING, phase="jupyter", text=text))

    thread = threading.Thread(target=look, name="usher", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def relayed(link: Link, port: int) -> Iterator[Relay]:
    """A port of this machine that leads to ``link``. Raises UsageError when it is taken."""
    try:
        try:
            relay = Relay(link.connect, own_loopback(), port)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            relay = Relay(link.connect, "127.0.0.1", port)  # a machine with a narrow loopback
    except OSError as error:
        raise UsageError(
            f"port {port} cannot be had: {error.strerror}", hint="leave --port out: any free one"
        ) from None
    with relay:
        yield relay


def _first(
    run: Prepared, link: Link, log: int, during: Callable[[], AbstractContextManager[None]]
) -> SandboxResult | None:
    """Run the server of the first interpreter that has one; None when the person ended it."""
    for python in interpreters(run.claims):
        asked = step_request(
            run.layers, run.claims, launching(python, run.claims), run.folder, run.terms,
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            with during():
                result = run.sandbox.run(replace(asked, started=partial(setattr, link, "init")))
        except RerunFailed as error:
            if error.slug != "rerun-command":
                raise
            continue
        except (Interrupted, KeyboardInterrupt):
            return None
        finally:
            link.init = None
        if result.exit != NONE_HERE or link.answered:
            return result
    raise no_server()


def no_server() -> UsageError:
    """The error of an image without a Jupyter server, with its mend."""
    return UsageError(
        "the archive's image holds no Jupyter server",
        hint="its author can add one: pip install jupyterlab in the analysis's environment, then "
        "`repro snapshot --full`; without one there is `repro run --shell`",
        slug="no-jupyter",
    )


def launching(python: str, claims: Claims) -> Step:
    """The command that starts the server by one interpreter of the image."""
    argv = (python, "-c", template("jupyter_launcher.py"), claims.root)
    return Step(name="jupyter", argv=argv)


def _end_of(log: Path) -> bytes:
    with log.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - TAIL))
        return stream.read(TAIL)


def failed(how: str, said: bytes) -> RerunFailed:
    """The error of a server that ended too early; ``said`` is its log."""
    return RerunFailed(
        f"the Jupyter server {how} before it answered",
        details=said[-TAIL:].decode("utf-8", "replace").splitlines()[-20:],
        hint="`repro run --shell` shows what the image holds",
        slug="jupyter",
    )
