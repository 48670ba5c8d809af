"""Files of the image that repro writes itself, the same in every archive."""

from __future__ import annotations

import os
from collections.abc import Iterator

from repro.model.entry import EntryType, FileEntry, LayerKind
from repro.model.system import etc_files

OURS = frozenset(
    f"/etc/{name}"
    for name in (
        "passwd", "group", "shadow", "gshadow", "hosts", "hostname", "resolv.conf", "localtime",
        "nsswitch.conf", "machine-id", "mtab", "subuid", "subgid",
    )
)  # fmt: skip
"""Never copied from the host: they name people, machines and networks."""

_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


def system_files(home: str) -> Iterator[FileEntry]:
    """passwd, group, hosts and the like, with fixed content; the empty folders every run has."""
    for name, data in etc_files(home).items():
        # passwd names the home folder: it must not make the base layer the author's own.
        kind = LayerKind.CODE if name == "passwd" else LayerKind.BASE
        yield _entry(f"/etc/{name}", EntryType.FILE, content=data, size=len(data), kind=kind)
    yield _entry("/etc/localtime", EntryType.SYMLINK, target="/usr/share/zoneinfo/UTC")
    for folder in ("/tmp", "/var/tmp", "/run", "/dev", "/proc", "/sys"):
        yield _entry(folder, EntryType.FOLDER)


def merged_links() -> Iterator[FileEntry]:
    """``/lib -> usr/lib`` and its kin, where this system has them."""
    for name in _MERGED:
        path = f"/{name}"
        if os.path.islink(path):
            yield _entry(path, EntryType.SYMLINK, target=os.readlink(path))


def _entry(
    path: str, type_: EntryType, *, content: bytes | None = None, target: str | None = None,
    size: int = 0, kind: LayerKind = LayerKind.BASE,
) -> FileEntry:  # fmt: skip
    return FileEntry(
        path=path, type=type_, kind=kind, origin="repro", content=content,
        target=target, size=size, mode=0o755 if type_ is EntryType.FOLDER else 0o644,
    )  # fmt: skip
