"""The trusted layer: what lies above the image and below the writable layer.

It holds a real, empty folder for every path that the launcher mounts on, so that a link of
the image at such a path is hidden and cannot steer the launcher (CVE-2026-87766), and our
own passwd, group and hosts, so that nothing of the image is read to make them.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from repro.errors import RerunFailed
from repro.model.guise import AS_USUAL, Guise
from repro.model.system import etc_files

MOUNT_POINTS = ("proc", "dev")
_FOLDERS = (*MOUNT_POINTS, "sys", "run", "etc", "var")
_SHARED = ("tmp", "var/tmp")

_READ_ONLY = ("sys", "fs", "irq", "bus", "pressure", "sysrq-trigger")
_HIDDEN = (
    "acpi", "asound", "kcore", "keys", "kmsg", "kallsyms", "kpagecgroup", "kpagecount",
    "kpageflags", "latency_stats", "mtrr", "pagetypeinfo", "sched_debug", "scsi", "slabinfo",
    "timer_list", "timer_stats", "vmallocinfo",
)  # fmt: skip


def make_trusted(folder: Path, home: str, resolver: bytes, guise: Guise = AS_USUAL) -> None:
    """Fill an empty folder. ``home`` is the analysis's HOME; ``resolver`` is resolv.conf."""
    folder.mkdir(mode=0o755)
    for name in _FOLDERS:
        (folder / name).mkdir()
        (folder / name).chmod(0o755)  # whatever the umask is
    for name in _SHARED:
        (folder / name).mkdir()
        (folder / name).chmod(0o1777)
    files = etc_files(home, resolver, user=guise.user, uid=guise.uid, host=guise.host)
    for name, content in files.items():
        (folder / "etc" / name).write_bytes(content)


def proc_masks(folder: str) -> list[str]:
    """The launcher's options that keep a run from the kernel's own files below /proc.

    The kernel lets whoever is root on the host write ``/proc/sys`` and read ``slabinfo``,
    whatever namespace or capabilities it has left; for others these files are closed anyway.
    The lists are those of the OCI runtime specification and more. ``folder`` is an
    empty folder of the host. These targets lie in a fresh procfs, which no image can change.
    """
    words = []
    for name in _READ_ONLY:
        if os.path.lexists(f"/proc/{name}"):
            words += ["--ro-bind", f"/proc/{name}", f"/proc/{name}"]
    for name in _HIDDEN:
        path = f"/proc/{name}"
        if os.path.lexists(path):
            words += ["--ro-bind", folder if os.path.isdir(path) else "/dev/null", path]
    return words


def proc_lists() -> tuple[list[str], list[str]]:
    """The same files as paths: those that may be read but not written, and those hidden."""
    read_only = [f"/proc/{name}" for name in _READ_ONLY if os.path.lexists(f"/proc/{name}")]
    hidden = [f"/proc/{name}" for name in _HIDDEN if os.path.lexists(f"/proc/{name}")]
    return read_only, hidden


def check_upper(upper: str) -> None:
    """Refuse a writable layer that would steer the next start.

    It lies above the trusted layer, and an earlier step of the same run wrote it. Raises
    RerunFailed when a mount point in it is anything but a real folder, or nobody could
    pass through it.
    """
    if os.stat(upper).st_mode & 0o500 != 0o500:
        raise _steered("closed /")
    for name in MOUNT_POINTS:
        try:
            status = os.lstat(f"{upper}/{name}")
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(status.st_mode):
            raise _steered(f"replaced /{name}")


def _steered(how: str) -> RerunFailed:
    return RerunFailed(
        f"an earlier step {how} in the sandbox; the next one is not started",
        hint="no honest analysis does that: do not trust this archive",
        slug="hostile-step",
    )
