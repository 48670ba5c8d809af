"""Versions on registries that are named where an archive is wanted: kept in this user's cache."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from repro.errors import ArchiveError, ReproError
from repro.primitives.events import Observer, silent
from repro.remote.reference import Reference
from repro.store.archive import Archive
from repro.store.beside import hold
from repro.workflows.copies import by_use, copies_folder, forget_others, known_tag
from repro.workflows.places import cache_root
from repro.workflows.pull import pull
from repro.workflows.registries import open_registry


def local_copy(
    reference: Reference,
    environ: Mapping[str, str],
    *,
    insecure: bool = False,
    observer: Observer = silent,
) -> tuple[Path, str]:
    """The archive of a version in this user's cache, fetched when it is not there; its tag.

    The registry is asked each time what the tag means now. Layers that earlier pulls
    brought are not fetched again. Archives used longest ago go (``copies.MOST``).
    """
    folder = copies_folder(cache_root(environ), "pulled")
    _, found = open_registry(reference, environ, insecure).manifest(reference.wanted)
    place = folder / f"{found.digest.hex}.repro"
    tag = reference.tag or "latest"
    known = known_tag(place)
    if known is not None:
        hold(place)
        return place, known
    wanted = replace(reference, digest=found.digest, tag=tag)
    try:
        with _earlier(folder) as others:
            pull(wanted, place, environ, insecure=insecure, others=others, observer=observer)
    except ArchiveError:
        if not any(folder.glob("*.repro")):
            raise
        # A layer of an earlier archive may be damaged: once more, all of it from the registry.
        pull(wanted, place, environ, insecure=insecure, observer=observer)
    hold(place)
    forget_others(folder, place)
    return place, tag


@contextlib.contextmanager
def _earlier(folder: Path) -> Iterator[list[Archive]]:
    """Archives of earlier pulls, those used last first, as places where layers may lie."""
    with contextlib.ExitStack() as stack:
        found = []
        for path in by_use(folder):
            try:
                found.append(stack.enter_context(Archive.open(path)))
            except ReproError:
                continue  # damaged: not a source
        yield found
