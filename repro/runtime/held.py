"""Which mechanism holds each limit of a run: a control group where one may be made, else looks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from repro.model.limits import Limits
from repro.runtime import watchdog
from repro.runtime.cgroups import Cgroup, make_cgroup
from repro.runtime.scope import make_scope

_NAMES = {"memory": "memory", "cpu": "cpus", "pids limit": "pids", "disk": "disk"}
"""The seal's name of a limit, and the limit's own."""


@contextlib.contextmanager
def held(limits: Limits) -> Iterator[Cgroup | None]:
    """A control group for the run, gone afterwards; None where none holds or is needed."""
    group = _group(limits) if limits else None
    try:
        yield group
    finally:
        if group is not None:
            group.close()


def _group(limits: Limits) -> Cgroup | None:
    """Our own where it holds all that a group can; else whichever holds more.

    systemd hands a user's service memory and pids down, and cpu only to a unit that asks.
    """
    own = make_cgroup(limits)
    wanted = {"memory": limits.memory, "cpu": limits.cpus, "pids": limits.pids}
    asked = [name for name, value in wanted.items() if value is not None]
    if own is not None and all(name in own.enforces for name in asked):
        return own
    scope = make_scope(limits)
    if own is None or scope is None:
        return own or scope
    better, other = (scope, own) if len(scope.enforces) > len(own.enforces) else (own, scope)
    other.close()
    return better


def limits_sealed(limits: Limits) -> tuple[dict[str, str], dict[str, str]]:
    """What of ``limits`` is enforced and how, and what is not and why; tried by doing."""
    enforced: dict[str, str] = {}
    missing: dict[str, str] = {}
    with held(limits) as group:
        by_group = group.enforces if group is not None else {}
    for shown, name in _NAMES.items():
        if getattr(limits, name) is None:
            missing[shown] = "no limit was given"
            continue
        key = "cpu" if name == "cpus" else name
        how = by_group.get(key) or watchdog.mechanism(key, limits)
        if how is None:
            missing[shown] = f"{limits.text(name)} is not held here: no control group may be made"
        else:
            enforced[shown] = f"{limits.text(name)}, {how}"
    return enforced, missing
