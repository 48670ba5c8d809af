"""All package sources, and the lock that they make together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from repro.model.lock import Lock
from repro.model.observation import PackageRef
from repro.pin import sources as plugins
from repro.pin.base import PackageSource
from repro.pin.lock_files import LockFiles, read_lock_files
from repro.pin.statements import matched
from repro.primitives.plugins import load_plugins


def sources(root: str = "/", notes: Path | None = None) -> list[PackageSource]:
    """Every package source by rank, usable here or not; ``notes`` as PackageSource has it."""
    found = [source(root) for source in load_plugins(plugins, PackageSource)]  # type: ignore[type-abstract]
    for source in found:
        source.notes = notes
    return found


def make_lock(
    packages: Iterable[PackageRef], known: Sequence[PackageSource], project: str | None = None
) -> Lock:
    """The lock of these packages; what sources could not say is named with the reason.

    Lock files in the folder ``project`` add addresses and hashes to what is installed.
    """
    by_name = {source.name: source for source in known}
    locked = [by_name[package.source].lock(package) for package in packages]
    spoken = {package.source for package in locked}
    files = read_lock_files(project) if project is not None else LockFiles()
    pinned, conflicts = matched(locked, files.statements)
    skipped = {
        name: f"not used, it cannot be read: {reason}" for name, reason in files.unread.items()
    }
    if conflicts:
        skipped["lock files"] = "; ".join(conflicts[:5])
    for source in known:
        if source.name not in spoken:
            skipped[source.name] = source.usable() or "nothing of it was used"
        elif (remark := source.remark()) is not None:
            skipped[f"{source.name} (in part)"] = remark
    return Lock(
        packages=tuple(sorted(pinned, key=lambda p: (p.source, p.name, p.version, p.purl))),
        skipped=skipped,
    )
