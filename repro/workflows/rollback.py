"""``repro rollback``: an older version is the default again; its files into a folder, if asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from repro.primitives.events import Observer, silent
from repro.primitives.frozen import frozen
from repro.store.archive import Archive
from repro.store.catalog import VersionInfo
from repro.store.lineage import is_same
from repro.workflows.restore import Restored, plan_restore
from repro.workflows.rewriting import rewrite


@frozen
class RolledBack:
    """``default`` is what ARCHIVE alone means now, ``before`` what it meant."""

    default: str
    before: str
    digest: str
    restored: Restored | None

    def to_json(self) -> dict[str, Any]:
        """The document ``repro.rollback/1``."""
        return {
            "schema": "repro.rollback/1",
            "default": self.default,
            "before": self.before,
            "digest": self.digest,
            "restored": self.restored.to_json() if self.restored is not None else None,
        }


def rollback(
    path: Path,
    tag: str,
    *,
    folder: Path | None,
    force: bool,
    environ: Mapping[str, str],
    clamp: int,
    observer: Observer = silent,
) -> RolledBack:
    """Make ``tag`` the version that ARCHIVE alone means; every version stays in the file.

    With ``folder`` the project's files of that version are written there. Raises
    ProjectError before anything is changed when that would overwrite a file that no version
    holds (unless ``force``); UsageError on an unknown tag; ArchiveError.
    """
    before: list[VersionInfo] = []

    def change(archive: Archive) -> Sequence[VersionInfo]:
        wanted, default = archive.version(tag), archive.version(None)
        before.append(default)
        if is_same(wanted, default):
            return archive.versions
        others = [each for each in archive.versions if not is_same(each, wanted)]
        names = [each for each in archive.versions if is_same(each, wanted) and each != wanted]
        return [*others, *names, wanted]

    with Archive.open(path) as archive:
        # Read from here on: the file may be replaced, what is open stays.
        wanted = archive.version(tag)
        plan = None
        if folder is not None:
            plan = plan_restore(archive, wanted, folder, force, environ, observer)
        done = rewrite(path, change, clamp, observer)
        restored = plan.write() if plan is not None else None
    return RolledBack(
        default=done.default,
        before=before[0].tag,
        digest=str(wanted.config_digest),
        restored=restored,
    )
