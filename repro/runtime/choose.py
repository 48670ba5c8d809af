"""The first usable engine, with the reasons why the others are not."""

from __future__ import annotations

import errno
import os

from repro.errors import RuntimeUnavailable, StorageError, UsageError
from repro.primitives.plugins import load_plugin, load_plugins
from repro.primitives.texts import printable
from repro.runtime import engines
from repro.runtime.base import Runtime
from repro.runtime.proof import Proofs

FIRST = "bubblewrap"
"""The module of the engine that comes before all others (the lowest rank)."""


def all_engines() -> list[Runtime]:
    """Every engine by rank, usable or not."""
    return [engine() for engine in load_plugins(engines, Runtime)]  # type: ignore[type-abstract]


def choose(name: str | None = None, proofs: Proofs | None = None) -> Runtime:
    """The engine of this name, or the first usable one; what ``proofs`` hold is not tried again.

    It says in its seal which engines were passed over, and why.

    Raises UsageError for an unknown name, RuntimeUnavailable (with each engine's reason)
    when none works. Never falls back to an unconfined run.
    """
    if name is None and proofs is not None:
        # Mostly it is this one; loading the others takes longer than all the rest of the choice.
        (first,) = load_plugin(engines, Runtime, FIRST)  # type: ignore[type-abstract]
        engine = first()
        if proofs.hold(engine):
            return engine
    known = all_engines()
    if name is not None:
        known = [engine for engine in known if engine.name == name]
        if not known:
            names = ", ".join(engine.name for engine in all_engines())
            raise UsageError(f"there is no engine {printable(name, 40)!r}", hint=f"known: {names}")
    reasons: dict[str, str] = {}
    for engine in known:
        engine.passed_over = dict(reasons)
        if name is None and engine.by_name_only is not None:
            reasons[engine.name] = engine.usable() or engine.by_name_only
            continue
        if proofs is not None and proofs.hold(engine):
            return engine
        reason = engine.usable()
        if reason is None:
            if proofs is not None:
                proofs.keep(engine)
            return engine
        reasons[engine.name] = reason
    full = os.strerror(errno.ENOSPC)
    if any(full in reason for reason in reasons.values()):
        raise StorageError(
            f"no sandbox can be set up: {full}",
            hint="free some space, or set TMPDIR and REPRO_CACHE to folders on another disk",
            details=[f"{engine}: {reason}" for engine, reason in reasons.items()],
        )
    raise RuntimeUnavailable(
        "no sandbox works on this machine" if name is None else f"{name} does not work here",
        hint="`repro doctor` says what is missing and how to mend it",
        details=[f"{engine}: {reason}" for engine, reason in reasons.items()],
    )
