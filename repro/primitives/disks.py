"""What kind of file system a folder lies on (proc_pid_mountinfo(5))."""

from __future__ import annotations

import os
from pathlib import Path

_NO_UPPER = ("fuse", "nfs", "cifs", "smb", "9p", "ceph", "afs", "lustre", "gpfs", "beegfs", "panfs",
             "overlay", "ecryptfs", "vfat", "exfat", "msdos", "ntfs", "hfs")  # fmt: skip
"""Beginnings of names. On a network's or a FUSE disk, on another overlay, and where names differ
by no more than case, overlayfs takes no writable folder (overlayfs.rst, "Upper and lower")."""


def file_system(folder: Path) -> str | None:
    """Its type, such as ``ext4`` or ``fuse.sshfs``; None where that is not known.

    ``folder`` need not exist: then it is that of the first one above it that does.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        device = os.stat(folder).st_dev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
            for line in stream:
                before, _, after = line.partition(" - ")
                if before.split()[2] == wanted:
                    return after.split()[0]
    except (OSError, IndexError):
        pass
    return None


def holds_writable_layers(kind: str | None) -> bool:
    """Whether overlayfs takes its writable folder on this type; True where nothing is known."""
    return kind is None or not kind.startswith(_NO_UPPER)
