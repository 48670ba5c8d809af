"""``repro extract``: the project or the recorded results, into a new folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from repro.errors import ArchiveError, UsageError
from repro.model.ports import OutputFile
from repro.primitives.events import Observer, silent
from repro.primitives.files import is_whiteout, open_inside, walk
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable
from repro.store.archive import Archive
from repro.store.cache import Cache
from repro.workflows.places import cache_root


@frozen
class Extracted:
    """How many files and bytes were written below ``folder``; what was not, and why."""

    folder: Path
    files: int
    size: int
    skipped: tuple[str, ...]


def extract(
    path: Path,
    tag: str | None,
    target: Path,
    *,
    results: bool,
    force: bool,
    environ: Mapping[str, str],
    observer: Observer = silent,
) -> Extracted:
    """Write the project's files (or its recorded results) below ``target``.

    ``target`` must be new or empty, unless ``force``: then files are replaced. Links that
    lead outside the folder are not made. Raises UsageError, ArchiveError.
    """
    target = new_folder(target, force)
    with Archive.open(path, thin=results) as archive:
        version = archive.version(tag)
        recording = archive.recording(version)
        if results:
            return write_outputs(archive.results(version), target)
        cache = Cache(cache_root(environ))
        kinds = ("code", "data", "packages")
        layers = cache.layers(archive, version, observer)
        chosen = [
            folder
            for folder, layer in zip(layers, version.layers, strict=True)
            if layer.kind in kinds
        ]
        return _project(chosen, recording.claims.root, target)


def new_folder(target: Path, force: bool) -> Path:
    """``target``, made when it is not there. Raises UsageError when it holds something."""
    if target.exists() and not target.is_dir():
        raise UsageError(f"{printable(str(target))} is not a folder")
    if target.is_dir() and any(target.iterdir()) and not force:
        raise UsageError(
            f"{printable(str(target))} is not empty", hint="name a new folder, or add --force"
        )
    target.mkdir(parents=True, exist_ok=True)
    return target


def write_outputs(outputs: Mapping[str, OutputFile], target: Path) -> Extracted:
    """Write outputs below an existing folder, following no link on the way."""
    files = size = 0
    skipped: list[str] = []
    for path, output in outputs.items():
        with output.open() as stream:
            if output.link:
                text = os.fsdecode(stream.read())
                if not _link(target, path, text):
                    skipped.append(f"{printable(path)}: a link that leads outside")
                    continue
                files += 1
                continue
            size += _write(target, path, stream, 0o644)
            files += 1
    return Extracted(folder=target, files=files, size=size, skipped=tuple(skipped))


def open_project(layer: Path, root: str) -> int | None:
    """The project's folder in an unpacked layer, through no link; None when it has none.

    Raises ArchiveError when something else is in its place.
    """
    base = os.open(layer, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return open_inside(base, root.lstrip("/"), os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArchiveError(f"the project folder in the image: {error.strerror}") from None
    finally:
        os.close(base)


def _project(layers: list[Path], root: str, target: Path) -> Extracted:
    files = size = 0
    skipped: list[str] = []
    written: dict[str, bool] = {}
    for layer in layers:
        project_fd = open_project(layer, root)
        if project_fd is None:
            continue
        base = f"/proc/self/fd/{project_fd}"
        for path, status in walk(base):
            source = f"{base}/{path}"
            if is_whiteout(status):
                # A layer below showed it; what is deleted was written by this very command.
                gone = _delete(target, path, written)
                files, size = files - gone[0], size - gone[1]
                continue
            written[path] = stat.S_ISDIR(status.st_mode)
            if stat.S_ISDIR(status.st_mode):
                (target / path).mkdir(parents=True, exist_ok=True)
            elif stat.S_ISLNK(status.st_mode):
                if _link(target, path, os.readlink(source)):
                    files += 1
                else:
                    skipped.append(f"{printable(path)}: a link that leads outside")
            elif stat.S_ISREG(status.st_mode):
                with open(source, "rb") as stream:
                    size += _write(target, path, stream, 0o755 if status.st_mode & 64 else 0o644)
                files += 1
        os.close(project_fd)
    return Extracted(folder=target, files=files, size=size, skipped=tuple(skipped))


def _delete(target: Path, path: str, written: dict[str, bool]) -> tuple[int, int]:
    """Remove what was written at a path and below it, and only that; files and bytes gone."""
    files = size = 0
    root = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    try:
        below = [each for each in written if each == path or each.startswith(path + "/")]
        for each in sorted(below, key=len, reverse=True):
            parent, _, leaf = each.rpartition("/")
            folder = open_inside(root, parent or ".", os.O_RDONLY | os.O_DIRECTORY)
            try:
                if written.pop(each):
                    with contextlib.suppress(OSError):  # what was there before may be in it
                        os.rmdir(leaf, dir_fd=folder)
                    continue
                with contextlib.suppress(FileNotFoundError):  # a link that was not made
                    status = os.lstat(leaf, dir_fd=folder)
                    os.unlink(leaf, dir_fd=folder)
                    files, size = files + 1, size + stat.S_ISREG(status.st_mode) * status.st_size
            finally:
                os.close(folder)
    finally:
        os.close(root)
    return files, size


def _write(target: Path, path: str, stream: BinaryIO, mode: int) -> int:
    """Write one file below ``target`` without following a link on the way."""
    parent, _, leaf = path.rpartition("/")
    (target / parent).mkdir(parents=True, exist_ok=True)
    root_fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    try:
        folder = open_inside(root_fd, parent or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                os.unlink(leaf, dir_fd=folder)
            except FileNotFoundError:
                pass
            fd = os.open(
                leaf, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode, dir_fd=folder
            )
            with os.fdopen(fd, "wb") as out:
                shutil.copyfileobj(stream, out, 1 << 20)
                return out.tell()
        finally:
            os.close(folder)
    finally:
        os.close(root_fd)


def _link(target: Path, path: str, text: str) -> bool:
    """Make a symlink when it stays inside the folder; whether it was made."""
    folder = os.path.dirname(path)
    inside = os.path.normpath(os.path.join(folder, text))
    if text.startswith("/") or inside == ".." or inside.startswith("../"):
        return False
    (target / folder).mkdir(parents=True, exist_ok=True)
    place = target / path
    if place.is_symlink() or place.is_file():
        place.unlink()
    os.symlink(text, place)
    return True
