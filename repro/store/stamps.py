"""Whether anybody touched an unpacked layer since it was unpacked, without reading its files.

The time of the last change of an inode (ctime, inode(7)) is set by the kernel alone: whoever
writes to a file, also one who puts its modification time back, leaves it changed. What this
cannot see is a disk that returns other bytes than were written: ``repro cache check`` reads all.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path

_MARK = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


def tree_stamp(folder: Path) -> str:
    """A digest of name, kind, inode, size and times of all below ``folder``, itself excepted.

    Raises OSError when it cannot be listed.
    """
    found = hashlib.sha256()
    pending = [os.fsencode(folder)]
    while pending:
        with os.scandir(pending.pop()) as listed:
            entries = sorted(listed, key=lambda entry: entry.name)
        for entry in entries:
            is_ = entry.stat(follow_symlinks=False)
            facts = (is_.st_mode, is_.st_ino, is_.st_size, is_.st_mtime_ns, is_.st_ctime_ns)
            found.update(b"%b\0%d %d %d %d %d\0" % (entry.name, *facts))
            if stat.S_ISDIR(is_.st_mode):
                pending.append(entry.path)
    return found.hexdigest()


def stamp_file(place: Path) -> Path:
    """Where the stamp of the layer at ``place`` is kept."""
    return place.with_name(f"{place.name}.stamp")


def write_stamp(place: Path) -> None:
    """Stamp a layer that has just been unpacked or found right. Raises OSError."""
    text = tree_stamp(place)
    with open(os.open(stamp_file(place), _MARK, 0o600), "w") as stream:
        stream.write(text)


def is_untouched(place: Path) -> bool:
    """Whether all is as it was when the layer was stamped; without a stamp it is not."""
    with contextlib.suppress(OSError):
        return stamp_file(place).read_text() == tree_stamp(place)
    return False
