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
            begun = start(environ, name, launching(python, claims).argv, now, observer)
            said = bytearray()
            try:
                with ushered(link, relay, ready, observer, partial(_init, link, environ, name)):
                    code = wait(begun, said.extend)
            except (Interrupted, KeyboardInterrupt):
                return 0
            except RunFailed:
                if link.answered:
                    raise
                continue  # this interpreter is not in the image
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
