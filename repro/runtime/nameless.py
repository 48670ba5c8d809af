"""Memory and disk that processes hold without a name: in no folder, in no process's own memory.

A run could pass its limits with a file that it removed and keeps open, with memfd_create(2), or
with memory shared among its processes: a sum over folders and anonymous memory sees none of it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable

_IN_MEMORY = ("/memfd:", "/dev/shm/", "/SYSV")
_REMOVED = " (deleted)"


def removed_files(pids: Iterable[int]) -> tuple[int, int]:
    """Bytes of open files that have no name: those in memory, those on the disk (proc(5))."""
    memory = disk = 0
    seen: set[tuple[int, int]] = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                place = f"/proc/{pid}/fd/{fd}"
                with contextlib.suppress(OSError):
                    name = os.readlink(place)
                    if not name.endswith(_REMOVED):
                        continue
                    status = os.stat(place)
                    key = status.st_dev, status.st_ino
                    if key in seen or not stat.S_ISREG(status.st_mode):
                        continue
                    seen.add(key)
                    if name.startswith(_IN_MEMORY):
                        memory += status.st_blocks * 512
                    else:
                        disk += status.st_blocks * 512
    return memory, disk


def shared_memory(pids: Iterable[int]) -> int:
    """Bytes of mapped memory that processes share, each page counted once over all of them.

    ``Pss_Shmem`` of smaps_rollup (Linux 5.4): files in memory and anonymous shared memory.
    """
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{pid}/smaps_rollup", "rb") as stream:
                for line in stream:
                    if line.startswith(b"Pss_Shmem:"):
                        total += int(line.split()[1]) * 1024
    return total


def written_to(outputs: Iterable[int]) -> int:
    """Bytes on the disk of the plain files among these descriptors of ours (a run's log)."""
    found = {}
    for fd in outputs:
        with contextlib.suppress(OSError):
            status = os.fstat(fd)
            if stat.S_ISREG(status.st_mode):
                found[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(found.values())
