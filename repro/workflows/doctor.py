"""``repro doctor``: can this machine snapshot and verify, and what mends it if not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from repro.errors import ReproError
from repro.observe.host import tracer_support
from repro.primitives.disks import file_system, holds_writable_layers
from repro.runtime.checks import checks
from repro.runtime.choose import choose
from repro.store.cache import Cache
from repro.workflows.places import cache_root, runs_root

_TRACER_MENDS = {
    "notify": "use Linux 5.5 or newer with seccomp user notification",
    "strace": "apt install strace (only needed where notify is refused)",
    "overlay": "allow user namespaces; else the run is recorded in place",
}


def examine(environ: Mapping[str, str]) -> dict[str, Any]:
    """The document ``repro.doctor/1``: each check with ok, text and mend."""
    found: list[dict[str, Any]] = [
        {"name": check.name, "ok": check.ok, "text": check.text, "mend": check.mend}
        for check in checks()
    ]
    support = tracer_support()
    for name, reason in support.items():
        found.append(
            {
                "name": f"record: {name}",
                "ok": not reason,
                "text": reason or "works",
                "mend": _TRACER_MENDS.get(name) if reason else None,
            }
        )
    found.append(_cache(environ))
    engine = _engine()
    recording = not support.get("notify") or not support.get("strace")
    return {
        "schema": "repro.doctor/1",
        "verify": engine["ok"],
        "snapshot": recording and engine["ok"],
        "checks": [*found, engine],
    }


def _engine() -> dict[str, Any]:
    try:
        runtime = choose(None)
    except ReproError as error:
        return {"name": "engine", "ok": False, "text": error.message, "mend": error.hint}
    return {"name": "engine", "ok": True, "text": runtime.name, "mend": None}


def _cache(environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        root = cache_root(environ)
        Cache(root)
        runs = runs_root(environ)
    except ReproError as error:
        return {"name": "cache", "ok": False, "text": error.message, "mend": error.hint}
    kind = file_system(root)
    text = str(root)
    if holds_writable_layers(kind):
        return {"name": "cache", "ok": True, "text": text, "mend": None}
    if root in runs.parents:
        mend = "set TMPDIR to a folder on a disk of this machine"
        text = f"{text} is on {kind}, which holds no writable layers, and no other disk was found"
        return {"name": "cache", "ok": False, "text": text, "mend": mend}
    text += f" is on {kind}: runs write in {runs}; containers that are kept do not work there"
    return {"name": "cache", "ok": True, "text": text, "mend": None}
