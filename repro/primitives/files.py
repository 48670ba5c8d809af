"""Files that are replaced whole, opened inside a root, and walked in a fixed order."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_OPENAT2 = 437  # the same number on every architecture (asm-generic/unistd.h)
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_IN_ROOT = 0x10
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_HOW = struct.Struct("=QQQ")
"""``struct open_how`` of openat2(2): flags, mode, resolve."""


@contextlib.contextmanager
def atomic_write(path: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Write a file beside ``path``, then put it in its place in one step.

    Order: write, fsync the file, rename, fsync the folder. When the body raises, the
    file that stood there before is untouched and the temporary one is gone.
    """
    import tempfile

    fd, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as stream:
            yield stream
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """fsync a folder, so that a rename in it survives a power loss."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of it: write(2) may take less, into a pipe above all. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def open_inside(root_fd: int, name: str, flags: int, mode: int = 0, *, follow: bool = False) -> int:
    """Open ``name`` below the folder ``root_fd`` and never outside it; the new descriptor.

    openat2(2) with RESOLVE_IN_ROOT; with ``follow`` false a symlink anywhere on the way
    is an error (ELOOP). Raises OSError as open(2) does.
    """
    import ctypes  # not before it is needed: docs/decisions/0005

    resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
    if not follow:
        resolve |= RESOLVE_NO_SYMLINKS
    how = _OPEN_HOW.pack(flags | os.O_CLOEXEC, mode, resolve)
    libc = ctypes.CDLL(None, use_errno=True)
    fd: int = libc.syscall(_OPENAT2, root_fd, os.fsencode(name), how, len(how))
    if fd >= 0:
        return fd
    number = ctypes.get_errno()
    if number == errno.ENOSYS:
        raise OSError(number, f"openat2 needs Linux 5.6 (this is {os.uname().release})", name)
    raise OSError(number, os.strerror(number), name)


def private_folder(folder: Path) -> None:
    """Make a folder that only its owner may use (0700), and those above it that are missing.

    Path.mkdir gives the ones above what the umask leaves: with 002 a group could write the
    cache. Raises OSError.
    """
    for each in reversed([folder, *folder.parents]):
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)


def fresh_folder(root: Path, prefix: str) -> Path:
    """A new folder in ``root`` with a name that begins so, for its owner alone.

    As ``tempfile.mkdtemp``, which need not be loaded. Raises OSError.
    """
    while True:
        folder = root / f"{prefix}{os.urandom(6).hex()}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(0o700)
            return folder


def open_made(root_fd: int, folder: str) -> int:
    """A new descriptor of a folder below ``root_fd``, made with those above it when missing.

    No link is followed: one on the way raises OSError (ELOOP or ENOTDIR).
    """
    fd = os.dup(root_fd)
    for part in filter(None, folder.split("/")):
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=fd)
            inner = os.open(part, _FOLDER, dir_fd=fd)
        finally:
            os.close(fd)
        fd = inner
    return fd


def walk(root: str) -> Iterator[tuple[str, os.stat_result]]:
    """Every entry below ``root`` as (relative path, lstat), parents first, sorted by bytes.

    Symlinks are not followed. A folder that cannot be listed raises OSError.
    """
    pending = [""]
    while pending:
        rel = pending.pop()
        with os.scandir(os.path.join(root, rel) if rel else root) as entries:
            found = sorted(entries, key=lambda entry: os.fsencode(entry.name))
        folders = []
        for entry in found:
            path = f"{rel}/{entry.name}" if rel else entry.name
            status = entry.stat(follow_symlinks=False)
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                folders.append(path)
        pending.extend(reversed(folders))


def disk_usage(folder: Path) -> int:
    """Bytes on disk of all files below a folder; what cannot be looked at counts nothing."""
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
    return total


def remove_tree(folder: Path) -> None:
    """Remove a tree as far as it can be done, also folders left without permissions.

    A link in its place is removed itself, never what it leads to.
    """
    if folder.is_symlink():
        folder.unlink()
        return
    with contextlib.suppress(OSError):
        folder.chmod(0o700)
    for path, folders, _ in os.walk(folder):
        # Before os.walk goes down into them.
        for name in folders:
            place = os.path.join(path, name)
            if not os.path.islink(place):
                with contextlib.suppress(OSError):
                    os.chmod(place, 0o700)
    import shutil  # not before it is needed: docs/decisions/0005

    shutil.rmtree(folder, ignore_errors=True)


def is_whiteout(status: os.stat_result) -> bool:
    """Whether an entry of an upper folder marks a removed one (overlayfs: character 0/0)."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(folder: str) -> bool:
    """Whether a folder of a layer hides all that lies below it in other layers (overlayfs)."""
    try:
        return os.getxattr(folder, "user.overlay.opaque", follow_symlinks=False) == b"y"
    except OSError:
        return False
