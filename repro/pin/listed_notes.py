"""What apt's lists said of the installed packages, kept until a list or a package changes.

Reading the lists takes most of the time of a snapshot that packs nothing new (0.4 s for
Debian's 65,000 packages): here it is asked of the files' state first, as make(1) does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from repro import __version__
from repro.pin.debsources import DebSource
from repro.pin.listed import Key, ListedArchive, PackageLists
from repro.primitives.files import private_folder

FORMAT = 1
"""Raised when the same lists give other facts."""
_NOTE = "apt-lists.json"


class ListedNotes:
    """One note in ``folder``; what cannot be read or kept there is read from the lists anew."""

    def __init__(self, folder: Path) -> None:
        self._note = folder / _NOTE

    def find(self, key: str) -> PackageLists | None:
        """What was kept under this key; None without it."""
        try:
            document = json.loads(self._note.read_bytes())
            if document["key"] != key or document["sum"] != _sum(document["lists"]):
                return None
            return _parsed(document["lists"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def keep(self, key: str, lists: PackageLists) -> None:
        """Keep it in the place of what was kept before; a disk that refuses is no error."""
        if lists.unread:
            return  # another time they may be readable
        document = {
            "count": lists.count,
            "archives": [
                [*of, each.sha256, each.url, dict(each.facts)]
                for of, each in sorted(lists.archives.items())
            ],
        }
        kept = {"key": key, "lists": document, "sum": _sum(document)}
        with contextlib.suppress(OSError):
            private_folder(self._note.parent)
            fd, name = tempfile.mkstemp(dir=self._note.parent, prefix=".apt-lists-")
            with os.fdopen(fd, "w", encoding="ascii") as stream:
                json.dump(kept, stream)
            os.replace(name, self._note)


def state_of(folder: Path, sources: Collection[DebSource], wanted: Collection[Key]) -> str:
    """A name for these lists (by size, inode and times), sources and packages."""
    files = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_file():
            status = entry.stat()
            files.append(
                [entry.name, status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]
            )
    words = [FORMAT, __version__, str(folder), files, [repr(each) for each in sources]]
    return _sum([*words, sorted(wanted)])


def _sum(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode("ascii")).hexdigest()


def _parsed(document: Any) -> PackageLists:
    return PackageLists(
        archives={
            (name, version, architecture): ListedArchive(sha256=sha256, url=url, facts=facts)
            for name, version, architecture, sha256, url, facts in document["archives"]
        },
        count=int(document["count"]),
        unread={},
    )
