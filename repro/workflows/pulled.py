"""Versions on registries that are named where an archive is wanted: kept in this user's cache."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from repro.errors import ArchiveError, ReproError, StorageError
from repro.primitives.events import Observer, silent
from repro.primitives.files import private_folder
from repro.remote.reference import Reference
from repro.store.archive import Archive
from repro.workflows.places import cache_root
from repro.workflows.pull import pull
from repro.workflows.registries import open_registry

MOST = 20
"""Archives that are kept, those used last."""
MOST_BYTES = 20_000_000_000
"""Bytes of archives that are kept; the one in use always is."""


def local_copy(
    reference: Reference,
    environ: Mapping[str, str],
    *,
    insecure: bool = False,
    observer: Observer = silent,
) -> tuple[Path, str]:
    """The archive of a version in this user's cache, fetched when it is not there; its tag.

    The registry is asked each time what the tag means now. Layers that earlier pulls
    brought are not fetched again. Archives used longest ago go (MOST, MOST_BYTES).
    """
    folder = cache_root(environ) / "pulled"
    try:
        private_folder(folder)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror}") from None
    _, found = open_registry(reference, environ, insecure).manifest(reference.wanted)
    place = folder / f"{found.digest.hex}.repro"
    tag = reference.tag or "latest"
    known = _known(place)
    if known is not None:
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
    _forget(folder, place)
    return place, tag


def _known(place: Path) -> str | None:
    """The tag of an archive that is there; a damaged one is removed."""
    if not place.is_file():
        return None
    try:
        with Archive.open(place) as archive:
            tag = archive.versions[-1].tag
    except ArchiveError:
        place.unlink(missing_ok=True)
        return None
    with contextlib.suppress(OSError):
        os.utime(place)
    return tag


@contextlib.contextmanager
def _earlier(folder: Path) -> Iterator[list[Archive]]:
    """Archives of earlier pulls, those used last first, as places where layers may lie."""
    with contextlib.ExitStack() as stack:
        found = []
        for path in _by_use(folder):
            try:
                found.append(stack.enter_context(Archive.open(path)))
            except ReproError:
                continue  # damaged: not a source
        yield found


def _forget(folder: Path, keep: Path) -> None:
    """Remove what was used longest ago; who has it open reads on."""
    total = 0
    for number, path in enumerate(_by_use(folder), 1):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
            if path != keep and (number > MOST or total > MOST_BYTES):
                path.unlink()


def _by_use(folder: Path) -> list[Path]:
    found = []
    for path in folder.glob("*.repro"):
        with contextlib.suppress(OSError):
            found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found, reverse=True)]
