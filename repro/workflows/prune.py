"""``repro prune``: versions dropped from an archive, and what only they needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repro.errors import UsageError
from repro.primitives.events import Observer, silent
from repro.primitives.frozen import frozen
from repro.store.archive import Archive
from repro.store.catalog import VersionInfo
from repro.store.lineage import is_same, named
from repro.workflows.log import history
from repro.workflows.rewriting import rewrite, size_with


@frozen
class Pruned:
    """``dropped`` are tags; of them ``only_names`` were further names of versions that stay.

    ``freed`` counts bytes of the file; with ``dry`` nothing was done yet.
    """

    dropped: tuple[str, ...]
    only_names: tuple[str, ...]
    kept: tuple[str, ...]
    freed: int
    default: str
    dry: bool

    def to_json(self) -> dict[str, Any]:
        """The document ``repro.prune/1``."""
        return {
            "schema": "repro.prune/1",
            "dropped": list(self.dropped),
            "only_names": list(self.only_names),
            "kept": list(self.kept),
            "freed": self.freed,
            "default": self.default,
            "dry_run": self.dry,
        }


def prune(
    path: Path,
    tags: Sequence[str],
    keep: int | None,
    *,
    clamp: int,
    dry: bool = False,
    observer: Observer = silent,
) -> Pruned:
    """Drop the versions with these tags, or all but the ``keep`` newest and the default one.

    Blobs that no version refers to any more go with them, in one step. Raises UsageError
    when nothing says what to drop, a tag is unknown, or no version would be left.
    """
    if (keep is None) == (not tags):
        raise UsageError("name the tags to drop, or say --keep N (one of the two)")
    if keep is not None and keep < 1:
        raise UsageError("--keep takes 1 or more", hint="to drop everything, delete the file")
    seen: list[tuple[list[VersionInfo], list[VersionInfo]]] = []

    def change(archive: Archive) -> Sequence[VersionInfo]:
        left = _left(archive, tags, keep)
        gone = [each for each in archive.versions if each not in left]
        seen.append((left, gone))
        return left

    if dry:
        with Archive.open(path) as archive:
            freed = path.stat().st_size - size_with(path, archive, change(archive))
    else:
        done = rewrite(path, change, clamp, observer)
        freed = done.before - done.after
    ((left, gone),) = seen
    return Pruned(
        dropped=tuple(each.tag for each in gone),
        only_names=tuple(e.tag for e in gone if any(is_same(e, other) for other in left)),
        kept=tuple(each.tag for each in left),
        freed=freed,
        default=left[-1].tag,
        dry=dry,
    )


def _left(archive: Archive, tags: Sequence[str], keep: int | None) -> list[VersionInfo]:
    if keep is not None:
        default = named(archive.versions)[-1]
        kept = {tag for past in history(archive)[-keep:] for tag in past.tags} | {*default.tags}
        return [each for each in archive.versions if each.tag in kept]
    wanted = {archive.version(tag).tag for tag in tags}
    left = [each for each in archive.versions if each.tag not in wanted]
    if not left:
        raise UsageError(
            "that would drop every version",
            hint="delete the file instead",
        )
    return left
