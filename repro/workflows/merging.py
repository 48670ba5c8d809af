"""Unpacked layers merged into one folder, as an engine's root file system would show them.

Layers come from strangers: a link of one layer must not lead a file of the next outside
the folder. So every step is relative to a folder descriptor and follows no link
(image-spec, layer.md, "Applying Changesets").
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from repro.errors import StorageError
from repro.primitives.files import is_whiteout
from repro.primitives.texts import printable

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPAQUE = "user.overlay.opaque"


def merge_layers(layers: Sequence[Path], target: Path) -> None:
    """Copy the layers, lowest first, into the empty folder ``target``.

    Modes are kept, owners are the caller's. Raises StorageError when the disk refuses.
    """
    try:
        root = os.open(target, _FOLDER)
        try:
            for layer in layers:
                source = os.open(layer, _FOLDER)
                try:
                    _merge(source, root)
                finally:
                    os.close(source)
        finally:
            os.close(root)
    except OSError as error:
        raise StorageError(
            f"{printable(str(error.filename or target))}: {error.strerror}",
            hint="free some space, or name a folder on another disk",
        ) from None


def _merge(source: int, target: int) -> None:
    for name in sorted(os.listdir(source)):
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        if is_whiteout(status):
            _remove(name, target)
        elif stat.S_ISDIR(status.st_mode):
            _folder(name, source, target, status)
        elif stat.S_ISLNK(status.st_mode):
            _remove(name, target)
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        elif stat.S_ISREG(status.st_mode):
            _remove(name, target)
            _file(name, source, target, status)


def _folder(name: str, source: int, target: int, status: os.stat_result) -> None:
    below = os.open(name, _FOLDER, dir_fd=source)
    try:
        opaque = _is_opaque(below)
        if opaque or not _is_folder(name, target):
            _remove(name, target)
        if not _is_folder(name, target):
            os.mkdir(name, 0o700, dir_fd=target)
        made = os.open(name, _FOLDER, dir_fd=target)
        try:
            _merge(below, made)
            os.fchmod(made, stat.S_IMODE(status.st_mode))
        finally:
            os.close(made)
    finally:
        os.close(below)


def _file(name: str, source: int, target: int, status: os.stat_result) -> None:
    read = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
    with os.fdopen(read, "rb") as stream:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, 0o600, dir_fd=target), "wb") as out:
            shutil.copyfileobj(stream, out, 1 << 20)
            os.fchmod(out.fileno(), stat.S_IMODE(status.st_mode))
            os.utime(out.fileno(), ns=(status.st_mtime_ns, status.st_mtime_ns))


def _is_opaque(folder: int) -> bool:
    try:
        return os.getxattr(folder, _OPAQUE) == b"y"
    except OSError:
        return False


def _is_folder(name: str, at: int) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _remove(name: str, at: int) -> None:
    """Remove what is there, a folder with all below it; links are not followed."""
    if _is_folder(name, at):
        below = os.open(name, _FOLDER, dir_fd=at)
        try:
            for each in os.listdir(below):
                _remove(each, below)
        finally:
            os.close(below)
        os.rmdir(name, dir_fd=at)
        return
    try:
        os.unlink(name, dir_fd=at)
    except FileNotFoundError:
        pass
