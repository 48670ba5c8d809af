"""Whole archives in this user's cache: pulled from a registry, or made of thin ones."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from repro.errors import ArchiveError, StorageError
from repro.primitives.files import private_folder
from repro.store.archive import Archive

MOST = 20
"""Archives that are kept in one folder, those used last."""
MOST_BYTES = 20_000_000_000
"""Bytes of archives that are kept; the one in use always is."""
FOLDERS = ("pulled", "fattened")
"""The folders of the cache that hold such copies."""


def copies_folder(root: Path, name: str) -> Path:
    """One of FOLDERS below the cache, made when it is missing. Raises StorageError."""
    folder = root / name
    try:
        private_folder(folder)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror}") from None
    return folder


def known_tag(place: Path) -> str | None:
    """The last tag of an archive that is there; one with a damaged head is removed."""
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


def forget_others(folder: Path, keep: Path) -> None:
    """Remove what was used longest ago; who has it open reads on."""
    total = 0
    for number, path in enumerate(by_use(folder), 1):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
            if path != keep and (number > MOST or total > MOST_BYTES):
                path.unlink()


def by_use(folder: Path) -> list[Path]:
    """The archives of a folder, those used last first."""
    found = []
    for path in folder.glob("*.repro"):
        with contextlib.suppress(OSError):
            found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found, reverse=True)]


@contextlib.contextmanager
def dropped_when_damaged(path: Path, root: Path) -> Iterator[None]:
    """A copy of ours that proves damaged is removed, and the error says so: no fault of its author.

    An archive elsewhere is left alone.
    """
    try:
        yield
    except ArchiveError as error:
        if path.parent not in [root / name for name in FOLDERS]:
            raise
        path.unlink(missing_ok=True)
        raise ArchiveError(
            error.message,
            hint="the copy in this user's cache was damaged and has been removed: run it again",
            details=error.details,
            slug=error.slug,
        ) from error
