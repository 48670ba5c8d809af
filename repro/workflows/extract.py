"""``repro extract``: the project or the recorded results, into a new folder."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from repro.errors import ArchiveError, UsageError
from repro.model.ports import OutputFile
from repro.model.written import FOLDER_MARK
from repro.primitives.events import Observer, silent
from repro.primitives.files import is_opaque, is_whiteout, open_inside, walk
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable
from repro.store.archive import Archive
from repro.store.cache import Cache
from repro.workflows.outfolder import OutFolder
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
    target = new_folder(target, force, "extract")
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


def new_folder(target: Path, force: bool | None, command: str) -> Path:
    """``target``, made when it is not there. Raises UsageError when it holds something.

    ``force`` is None where the command line has no --force, so that none is advised. A
    folder that was new or empty is marked as made by ``repro COMMAND`` (model/written.py).
    """
    if target.exists() and not target.is_dir():
        raise UsageError(f"{printable(str(target))} is not a folder")
    held = target.is_dir() and any(target.iterdir())
    if held and not force:
        raise UsageError(
            f"{printable(str(target))} is not empty",
            hint="name a new folder" if force is None else "name a new folder, or add --force",
        )
    target.mkdir(parents=True, exist_ok=True)
    if not held:
        mark_made(target, command)
    return target


def mark_made(folder: Path, command: str) -> None:
    """Leave the mark by which a later snapshot knows that repro made the folder.

    A file system without extended attributes takes none: the folder is an ordinary one then.
    """
    with contextlib.suppress(OSError):
        os.setxattr(folder, FOLDER_MARK, command.encode())


def write_outputs(outputs: Mapping[str, OutputFile], target: Path) -> Extracted:
    """Write outputs below an existing folder, following no link on the way."""
    skipped: list[str] = []
    with OutFolder(target) as out:
        for path, output in outputs.items():
            with output.open() as stream:
                if not output.link:
                    out.file(path, stream, 0o644)
                elif not out.link(path, os.fsdecode(stream.read())):
                    skipped.append(f"{printable(path)}: a link that leads outside")
        return Extracted(folder=target, files=out.files, size=out.size, skipped=tuple(skipped))


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
    skipped: dict[str, str] = {}
    with OutFolder(target) as out:
        for layer in layers:
            project_fd = open_project(layer, root)
            if project_fd is None:
                continue
            try:
                _layer(f"/proc/self/fd/{project_fd}", out, skipped)
            finally:
                os.close(project_fd)
        return Extracted(
            folder=target, files=out.files, size=out.size, skipped=tuple(skipped.values())
        )


def _layer(base: str, out: OutFolder, skipped: dict[str, str]) -> None:
    """One layer over those below it: what it deletes was written by this very command."""
    for path, status in walk(base):
        source = f"{base}/{path}"
        if is_whiteout(status):
            out.remove(path)
        elif stat.S_ISDIR(status.st_mode):
            if is_opaque(source):
                out.empty(path)
            out.folder(path)
        elif stat.S_ISLNK(status.st_mode):
            if not out.link(path, os.readlink(source)):
                skipped[path] = f"{printable(path)}: a link that leads outside"
                continue
        elif stat.S_ISREG(status.st_mode):
            with open(source, "rb") as stream:
                out.file(path, stream, 0o755 if status.st_mode & 64 else 0o644)
        skipped.pop(path, None)
