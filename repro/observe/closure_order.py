"""The entries of a closure in the order of an image."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from repro.model.entry import EntryType, FileEntry


def ordered(entries: Iterable[FileEntry]) -> Iterator[FileEntry]:
    """Sorted by the bytes of their paths; what lies below a link or file is dropped.

    A package list can name a path through a link that is an entry itself.
    """
    found = sorted(entries, key=lambda entry: os.fsencode(entry.path))
    not_folders = {e.path for e in found if e.type is not EntryType.FOLDER}
    good = {""}
    for entry in found:
        parent = entry.path.rpartition("/")[0]
        passed = []
        while parent not in good and parent not in not_folders:
            passed.append(parent)
            parent = parent.rpartition("/")[0]
        if parent in good:
            good.update(passed)
            yield entry
