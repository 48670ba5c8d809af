"""``repro container jupyter``: the image's Jupyter server over a layer that stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from repro.container.processes import boot_id
from repro.errors import Interrupted, RunFailed
from repro.primitives.events import Observer, silent
from repro.workflows.container_runs import running, start, wait
from repro.workflows.containers import opened, shelf
from repro.workflows.jupyter import (
    NONE_HERE,
    TAIL,
    Address,
    Link,
    failed,
    interpreters,
    launching,
    no_server,
    relayed,
    ushered,
)


def serve_container(
    environ: Mapping[str, str],
    name: str,
    port: int,
    ready: Callable[[Address], None],
    now: Callable[[], str],
    observer: Observer = silent,
) -> int:
    """Serve from a container until the server ends or the person interrupts; its exit status.

    An interruption ends the server (0); the layer stays. Raises as ``repro run --jupyter``,
    and UsageError when there is no such container or something runs in it.
    """
    place = shelf(environ).find(name)
    with opened(place) as found:
        claims = found.recording.claims
    link = Link()
    with relayed(link, port) as relay:
        for python in interpreters(claims):
            said = bytearray()

            def hear(data: bytes, said: bytearray = said) -> None:
                said += data
                del said[:-TAIL]

            try:
                begun = start(environ, name, launching(python, claims).argv, now, observer)
                with ushered(link, relay, ready, observer, partial(_init, link, environ, name)):
                    code = wait(begun, hear)
            except (Interrupted, KeyboardInterrupt):
                return 0
            except RunFailed as error:
                # An engine that says at once that the image has no such program, or a run that
                # ended without a status.
                if link.answered or error.slug not in ("rerun-command", RunFailed.slug):
                    raise
                continue
            finally:
                link.init = None
            if link.answered:
                return code
            if code != NONE_HERE:
                raise failed(f"ended with status {code}", bytes(said))
    raise no_server()


def _init(link: Link, environ: Mapping[str, str], name: str) -> None:
    holder = running(shelf(environ).find(name), boot_id())
    assert holder.init is not None
    link.init = holder.init.pid
