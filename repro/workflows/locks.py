"""``repro extract --locks``: the lock of an archive as lists of package managers."""

from __future__ import annotations

from pathlib import Path

from repro.errors import StorageError
from repro.model.lock import Lock
from repro.primitives.texts import printable
from repro.report.lists import lock_lists
from repro.report.locklist import LockList, json_text
from repro.store.archive import Archive
from repro.workflows.extract import new_folder


def write_locks(path: Path, tag: str | None, folder: Path, *, force: bool | None) -> list[LockList]:
    """Write the lists, and the lock itself as ``lock.json``, into a folder; the lists.

    They are made from the lock that the archive holds: nothing is looked up, no clock.
    Raises UsageError when the folder is not empty (unless ``force``), ArchiveError.
    """
    with Archive.open(path, thin=True) as archive:
        version = archive.version(tag)
        document = archive.lock_json(version)
        lists = lock_lists(Lock.parse(document), str(version.config_digest))
    target = new_folder(folder, force, "extract --locks")
    try:
        for each in lists:
            (target / each.name).write_text(each.text, "utf-8")
        (target / "lock.json").write_text(json_text(document), "utf-8")
    except OSError as error:
        raise StorageError(
            f"the lists cannot be written to {printable(str(target))}: {error.strerror}"
        ) from None
    return lists
