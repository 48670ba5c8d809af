"""An unpacked layer told by its digest again: the tar that it came from, made once more."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from repro.primitives import tarformat
from repro.primitives.digest import Digest
from repro.primitives.files import is_whiteout
from repro.primitives.tarformat import Header, padding

_PIECE = 1 << 20


def folder_digest(folder: Path) -> Digest:
    """The digest of the layer tar that ``folder`` was unpacked from (``untar``), its diff_id.

    By the rules that repro writes layers with: names sorted as bytes, owner 0, one pax header
    only where a name needs it. One bit, mode, time or link that is not as it was gives another
    digest; so does a layer that another program wrote. Raises OSError.
    """
    running = hashlib.sha256()
    root = os.fsencode(folder)
    first: dict[tuple[int, int], bytes] = {}
    piece = bytearray(_PIECE)
    for name, place in sorted(_names(root)):
        status = os.lstat(place)
        header = _header(name, place, status, first)
        running.update(tarformat.render(header))
        # A special file has a header that no layer has, and is never opened: a FIFO would wait.
        if header.kind == tarformat.FILE and stat.S_ISREG(status.st_mode):
            _contents(place, header.size, running, piece)
    running.update(tarformat.END)
    return Digest(running.hexdigest())


def _names(root: bytes) -> list[tuple[bytes, bytes]]:
    """Each member's name in the tar, and where it lies."""
    found: list[tuple[bytes, bytes]] = []
    pending = [b""]
    while pending:
        folder = pending.pop()
        with os.scandir(os.path.join(root, folder)) as entries:
            for entry in entries:
                name = os.path.join(folder, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(name)
                known = entry.is_symlink() or entry.is_dir() or entry.is_file()
                found.append((name if known else _whiteout(folder, entry.name), entry.path))
    return found


def _whiteout(folder: bytes, name: bytes) -> bytes:
    """The name in a layer of what deletes another (image-spec, layer.md, "Whiteouts")."""
    return os.path.join(folder, b".wh." + name)


def _header(
    name: bytes, place: bytes, status: os.stat_result, first: dict[tuple[int, int], bytes]
) -> Header:
    mode, mtime = stat.S_IMODE(status.st_mode), int(status.st_mtime)
    if stat.S_ISDIR(status.st_mode):
        return Header(name + b"/", tarformat.FOLDER, 0, mode, mtime)
    if stat.S_ISLNK(status.st_mode):
        return Header(name, tarformat.SYMLINK, 0, 0o777, mtime, os.readlink(place))
    if is_whiteout(status):
        return Header(name, tarformat.FILE, 0, 0o644, mtime)
    if not stat.S_ISREG(status.st_mode):
        # Something put here: repro packs none, so the digest cannot be met.
        return Header(name, tarformat.FILE, 0, 0, mtime)
    if status.st_nlink > 1:
        earlier = first.setdefault((status.st_dev, status.st_ino), name)
        if earlier != name:
            return Header(name, tarformat.HARDLINK, 0, mode, mtime, earlier)
    return Header(name, tarformat.FILE, status.st_size, mode, mtime)


def _contents(place: bytes, size: int, running: hashlib._Hash, piece: bytearray) -> None:
    view = memoryview(piece)
    with open(place, "rb", buffering=0) as stream:
        while count := stream.readinto(piece):
            running.update(view[:count])
    running.update(bytes(padding(size)))
