"""``repro tag``: another name for a version, or another instead of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from repro.errors import UsageError
from repro.primitives.events import Observer, silent
from repro.primitives.frozen import frozen, replace
from repro.primitives.texts import printable
from repro.store.archive import Archive
from repro.store.catalog import VersionInfo
from repro.store.lineage import named
from repro.workflows.names import check_tag
from repro.workflows.rewriting import rewrite


@frozen
class Tagged:
    """All names that the version has now; ``digest`` is its identity."""

    tags: tuple[str, ...]
    digest: str


def tag(
    path: Path,
    old: str | None,
    new: str,
    *,
    move: bool,
    clamp: int,
    observer: Observer = silent,
) -> Tagged:
    """Call the version ``old`` (None: the default one) ``new`` as well, with ``move`` instead.

    Which version is the default does not change. Raises UsageError when ``new`` is no tag
    or is taken, or there is no ``old``.
    """
    check_tag(new)

    def change(archive: Archive) -> Sequence[VersionInfo]:
        wanted = archive.version(old)
        if new in {each.tag for each in archive.versions}:
            raise UsageError(
                f"{printable(path.name)} has a version {new} already",
                hint=f"choose another name, or drop that one first: repro prune ARCHIVE {new}",
            )
        return list(_entries(archive, wanted, new, move))

    rewrite(path, change, clamp, observer)
    with Archive.open(path) as archive:
        found = next(each for each in named(archive.versions) if new in each.tags)
        return Tagged(tags=found.tags, digest=str(found.version.config_digest))


def _entries(archive: Archive, wanted: VersionInfo, new: str, move: bool) -> Iterator[VersionInfo]:
    for each in archive.versions:
        if each == wanted:
            yield replace(each, tag=new)  # before the old name, which stays the one shown
            if move:
                continue
        yield each
