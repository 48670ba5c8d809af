"""Unpack a tar stream from a stranger into an empty folder, and never outside it.

Every step is relative to a folder descriptor, no symlink is followed, nothing is
replaced (O_EXCL), modes are 0755 or 0644, owners are the caller's. Layer whiteouts
(image-spec, layer.md) become what an unprivileged overlay mount understands: a 0:0
character device (mknod(2) needs no privilege for it since Linux 5.8), and the
attribute ``user.overlay.opaque`` on a folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from repro.errors import ArchiveError, StorageError
from repro.primitives import tarformat
from repro.primitives.digest import Digest
from repro.primitives.frames import Counted, bounded, decompressed
from repro.primitives.pipes import SideHash, ahead
from repro.primitives.tarformat import Header
from repro.primitives.tarread import Limits, TarReader, refuse, split_name
from repro.primitives.texts import printable

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_LATEST = 1 << 34
_KINDS = {b"3": "character device", b"4": "block device", b"6": "FIFO", b"7": "contiguous file",
          b"S": "sparse file", b"g": "global pax header", b"V": "volume label",
          b"M": "continued file", b"D": "incremental folder"}  # fmt: skip
# What the person's disk lacks, not what the archive does wrong.
_ARCHIVES_OWN = (errno.ENAMETOOLONG, errno.EMLINK, errno.ELOOP, errno.ENOTDIR, errno.EISDIR,
                 errno.EEXIST)  # fmt: skip
"""What a member's own name, links or place can cause on any disk."""
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE)


def untar(stream: BinaryIO, compression: str, dest: Path, diff_id: Digest, limits: Limits) -> int:
    """Unpack into the existing empty folder ``dest``; the number of entries.

    ``compression`` is ``zstd``, ``gzip`` or ``plain``. The whole stream is read; its
    plain bytes must have the digest ``diff_id``. Raises ArchiveError naming the member
    that is refused, StorageError when the disk refuses. What was unpacked stays for the
    caller to remove.
    """
    plain = SideHash()
    counted = Counted(stream)
    unpacked = decompressed(counted, compression)  # type: ignore[arg-type]
    chunks = ahead(_hashed(bounded(unpacked, counted, limits, "a layer"), plain))
    try:
        with contextlib.closing(_Target(dest, limits)) as target:
            reader = TarReader(chunks, limits)
            count = 0
            for header in reader:
                target.add(header, reader)
                count += 1
            target.finish()
    finally:
        chunks.close()
        found = plain.finish()
    if found != diff_id:
        raise ArchiveError(
            "a layer's unpacked bytes do not match its diff_id",
            details=[f"expected {diff_id}, found {found}"],
            slug="archive-digest",
        )
    return count


def _hashed(chunks: Iterator[bytes], plain: SideHash) -> Iterator[bytes]:
    for chunk in chunks:
        plain.update(chunk)
        yield chunk


class _Target:
    """The folder being filled, with descriptors of the folders on the current way."""

    def __init__(self, dest: Path, limits: Limits) -> None:
        self._limits = limits
        self._chain: list[tuple[bytes, int]] = []
        self._root = os.open(dest, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # path -> kind of what was made here: a member's kind, or "" for an implied folder
        self._made: dict[bytes, bytes] = {}
        self._times: list[tuple[list[bytes], int]] = []
        self._last_time = 0
        self._masked = bool(_umask() & 0o755)

    def close(self) -> None:
        for _, fd in self._chain:
            os.close(fd)
        os.close(self._root)

    def add(self, header: Header, reader: TarReader) -> None:
        """Make one member. Raises ArchiveError, StorageError."""
        parts = split_name(header.name, self._limits)
        self._check(header, parts)
        try:
            if not parts:
                return
            if parts[-1].startswith(_WHITEOUT):
                self._whiteout(header, parts)
                return
            self._make(header, parts, reader)
        except OSError as error:
            raise _translated(error, header.name) from None

    def finish(self) -> None:
        """Set the folders' modes and times, deepest first."""
        for parts, mtime in reversed(self._times):
            parent = self._open(parts[:-1], create=False)
            fd = os.open(parts[-1], _FOLDER, dir_fd=parent)
            try:
                if self._masked:
                    os.fchmod(fd, 0o755)
                os.utime(fd, (mtime, mtime))
            finally:
                os.close(fd)
        os.utime(self._root, (self._last_time, self._last_time))

    def _check(self, header: Header, parts: list[bytes]) -> None:
        if header.kind in _KINDS or header.kind not in b"0125":
            refuse(header.name, f"is a {_KINDS.get(header.kind, 'member of unknown kind')}")
        if not parts and header.kind != tarformat.FOLDER:
            refuse(header.name, "replaces the root folder")
        if header.kind == tarformat.FILE and header.mode & 0o6000:
            refuse(header.name, "has a setuid or setgid bit")
        if header.mtime > _LATEST:
            refuse(header.name, "has a time out of range")
        if header.name.endswith(b"/") and header.kind != tarformat.FOLDER:
            refuse(header.name, "has a folder's name but is none")
        if any(part.startswith(_WHITEOUT) for part in parts[:-1]):
            refuse(header.name, "lies below a whiteout's name")
        self._last_time = max(self._last_time, header.mtime)

    def _make(self, header: Header, parts: list[bytes], reader: TarReader) -> None:
        path = b"/".join(parts)
        before = self._made.get(path)
        if before is not None and not (before == b"" and header.kind == tarformat.FOLDER):
            refuse(header.name, "appears twice")
        parent = self._open(parts[:-1], create=True, member=header)
        leaf = parts[-1]
        if header.kind == tarformat.FILE:
            self._file(leaf, parent, header, reader)
        elif header.kind == tarformat.FOLDER:
            if before is None:
                os.mkdir(leaf, 0o755, dir_fd=parent)
                self._times.append((parts, header.mtime))
        elif header.kind == tarformat.SYMLINK:
            if not header.link or len(header.link) > self._limits.path:
                refuse(header.name, "is a symlink without a valid target")
            os.symlink(header.link, leaf, dir_fd=parent)
            os.utime(leaf, (header.mtime,) * 2, dir_fd=parent, follow_symlinks=False)
        else:
            self._link(leaf, parent, header)
        self._made[path] = header.kind

    def _file(self, leaf: bytes, parent: int, header: Header, reader: TarReader) -> None:
        mode = 0o755 if header.mode & 0o111 else 0o644
        fd = os.open(leaf, _CREATE, mode, dir_fd=parent)
        try:
            for piece in reader.data():
                while piece:
                    piece = piece[os.write(fd, piece) :]
            if self._masked:
                os.fchmod(fd, mode)
            os.utime(fd, (header.mtime, header.mtime))
        finally:
            os.close(fd)

    def _link(self, leaf: bytes, parent: int, header: Header) -> None:
        target = split_name(header.link, self._limits, header.name)
        if self._made.get(b"/".join(target)) not in (tarformat.FILE, tarformat.HARDLINK):
            refuse(header.name, "is a hard link to no plain file of this layer")
        parent = os.dup(parent)
        try:
            source = self._open(target[:-1], create=False)
            os.link(target[-1], leaf, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(parent)

    def _whiteout(self, header: Header, parts: list[bytes]) -> None:
        leaf, folder = parts[-1], parts[:-1]
        if header.kind != tarformat.FILE or header.size:
            refuse(header.name, "is a whiteout that is no empty file")
        path = b"/".join(parts)
        if path in self._made:
            refuse(header.name, "appears twice")
        self._made[path] = header.kind
        if leaf == _OPAQUE:
            if not folder:
                refuse(header.name, "makes the root folder opaque")
            os.setxattr(self._open(folder, create=True), b"user.overlay.opaque", b"y")
            return
        name = leaf[len(_WHITEOUT) :]
        if name in (b"", b".", b"..") or name.startswith(_WHITEOUT):
            refuse(header.name, "is a whiteout of no valid name")
        hidden = b"/".join([*folder, name])
        if hidden in self._made:
            refuse(header.name, "hides a member of its own layer")
        parent = self._open(folder, create=True)
        os.mknod(name, stat.S_IFCHR | 0o600, os.makedev(0, 0), dir_fd=parent)
        os.utime(name, (header.mtime,) * 2, dir_fd=parent, follow_symlinks=False)
        self._made[hidden] = b"3"

    def _open(self, parts: list[bytes], *, create: bool, member: Header | None = None) -> int:
        """The descriptor of a folder made here; missing ones are made when ``create``."""
        shared = 0
        for (name, _), part in zip(self._chain, parts, strict=False):
            if name != part:
                break
            shared += 1
        while len(self._chain) > shared:
            os.close(self._chain.pop()[1])
        fd = self._chain[-1][1] if self._chain else self._root
        for depth in range(shared, len(parts)):
            fd = self._step(fd, parts[: depth + 1], create, member)
            self._chain.append((parts[depth], fd))
        return fd

    def _step(self, fd: int, parts: list[bytes], create: bool, member: Header | None) -> int:
        path = b"/".join(parts)
        kind = self._made.get(path)
        if kind is None and create:
            os.mkdir(parts[-1], 0o755, dir_fd=fd)
            self._made[path] = b""
            self._times.append((parts, member.mtime if member else self._last_time))
        elif kind not in (b"", tarformat.FOLDER):
            refuse(member.name if member else path, "lies below something that is no folder")
        return os.open(parts[-1], _FOLDER, dir_fd=fd)


def _umask() -> int:
    """The umask, without changing it (proc(5)); all bits where it cannot be read."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = Path("/proc/self/status").read_text("ascii", "replace")
        return int(text.split("\nUmask:", 1)[1].split(None, 1)[0], 8)
    return 0o777


def _translated(error: OSError, name: bytes) -> ArchiveError | StorageError:
    shown = printable(os.fsdecode(name), 100)
    if error.errno in _DISK:
        return StorageError(
            f"'{shown}' cannot be unpacked: {error.strerror}",
            hint="free some space, or set REPRO_CACHE to a folder on another disk",
        )
    if error.errno in (errno.EPERM, errno.EOPNOTSUPP) and _WHITEOUT in name:
        return StorageError(
            f"whiteout '{shown}' cannot be made here: {error.strerror}",
            hint="set REPRO_CACHE to a folder on ext4, xfs or btrfs (Linux 5.8 or newer)",
        )
    if error.errno not in _ARCHIVES_OWN:
        return StorageError(
            f"'{shown}' cannot be unpacked: {error.strerror}",
            hint="the disk may lack hard links, symlinks or their times: set REPRO_CACHE to a "
            "folder on ext4, xfs or btrfs",
        )
    return ArchiveError(f"member '{shown}': {error.strerror}", slug="archive-hostile")
