"""``repro cache``: what lies in this user's cache, whether it is whole, and how much may."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from repro.errors import StorageError
from repro.primitives.events import Event, EventKind, Observer, done, silent
from repro.primitives.files import disk_usage
from repro.primitives.texts import human_size
from repro.store.beside import KINDS
from repro.store.cache import Cache, Checked
from repro.workflows.places import cache_root

_OWN = ("layers", "limit", *KINDS)


def listing(environ: Mapping[str, str]) -> dict[str, Any]:
    """The document ``repro.cache/1``: layers, the last used first, and what else lies there.

    ``total`` is what the limit bounds: ``kinds`` has its parts. ``others`` are under no limit.
    """
    root = cache_root(environ)
    cache = Cache(root)
    layers, kinds = cache.entries(), _kinds(cache)
    return {
        "schema": "repro.cache/1",
        "folder": str(root),
        "limit": cache.limit(),
        "size": sum(layer.size for layer in layers),
        "total": sum(kind["size"] for kind in kinds.values()),
        "kinds": kinds,
        "layers": [
            {
                "diff_id": str(layer.diff_id),
                "size": layer.size,
                "used": _iso(layer.used),
                "ready": layer.ready,
                "in_use": layer.in_use,
            }
            for layer in layers
        ],
        "others": {
            place.name: size
            for place in sorted(root.iterdir())
            if place.name not in _OWN and (size := _weight(place))
        },
    }


def check(environ: Mapping[str, str], observer: Observer = silent) -> dict[str, Any]:
    """Hash every unpacked layer again and remove damaged ones: the document ``repro.cache-check/1``.

    Raises StorageError when a damaged one is in use and so could not be removed.
    """
    cache = Cache(cache_root(environ))
    started = time.monotonic()
    layers = cache.entries()
    total, read = sum(layer.size for layer in layers), 0
    found: dict[Checked, list[str]] = {outcome: [] for outcome in Checked}
    for layer in layers:
        outcome = cache.check(layer.diff_id)
        if outcome is not None:
            found[outcome].append(str(layer.diff_id))
        if outcome in (Checked.DAMAGED, Checked.IN_USE):
            text = f"layer {layer.diff_id.short} {outcome.value}"
            observer(Event(kind=EventKind.WARNING, phase="check", text=text))
        read += layer.size
        observer(Event(kind=EventKind.PROGRESS, phase="check", done=read, total=total))
    if found[Checked.IN_USE]:
        raise StorageError(
            f"{len(found[Checked.IN_USE])} damaged layers are in use and were not removed",
            hint="run it again when no repro runs",
            details=found[Checked.IN_USE],
            slug="cache-damaged",
        )
    text = f"{len(found[Checked.GOOD])} layers, {human_size(total)}"
    observer(done("check", text, time.monotonic() - started))
    return {
        "schema": "repro.cache-check/1",
        "good": len(found[Checked.GOOD]),
        "damaged": found[Checked.DAMAGED],
    }


def gc(environ: Mapping[str, str], keep: int) -> dict[str, Any]:
    """Remove what is beyond ``keep`` bytes, the longest unused first: ``repro.cache-gc/1``."""
    cache = Cache(cache_root(environ))
    return {"schema": "repro.cache-gc/1", **_after(cache, partial(cache.gc, keep))}


def limit(environ: Mapping[str, str], size: int | None) -> dict[str, Any]:
    """Keep a limit (None: none) from now on, and bring the cache down to it."""
    cache = Cache(cache_root(environ))
    cache.set_limit(size)
    done = _after(cache, cache.keep_limit)
    return {"schema": "repro.cache-gc/1", "limit": cache.limit(), **done}


def _after(cache: Cache, act: Callable[[], int]) -> dict[str, Any]:
    """What was set free, of each kind, and what is left."""
    before = _kinds(cache)
    freed = act()
    kinds = _kinds(cache)
    return {
        "freed": freed,
        "size": sum(kind["size"] for kind in kinds.values()),
        "kinds": {
            name: {**kind, "freed": max(0, before[name]["size"] - kind["size"])}
            for name, kind in kinds.items()
        },
    }


def _kinds(cache: Cache) -> dict[str, dict[str, int]]:
    """Number and bytes on disk of each kind."""
    sizes: dict[str, list[int]] = {"layers": [each.size for each in cache.entries()]}
    sizes.update({name: [] for name in KINDS})
    for item in cache.beside.items():
        sizes[item.kind].append(item.size)
    return {name: {"count": len(each), "size": sum(each)} for name, each in sizes.items()}


def _iso(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _weight(place: Path) -> int:
    """Bytes on disk of a file or tree; no link is followed."""
    return disk_usage(place) if place.is_dir() else place.lstat().st_blocks * 512
