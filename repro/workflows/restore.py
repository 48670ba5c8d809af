"""The project's files of a version into a folder where a person works: nothing of theirs is lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from repro.errors import ArchiveError, ProjectError, StorageError, UsageError
from repro.primitives.digest import Digest
from repro.primitives.events import Observer, silent
from repro.primitives.files import is_whiteout, open_inside, open_made, walk
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable
from repro.store.archive import Archive
from repro.store.cache import Cache
from repro.store.catalog import VersionInfo
from repro.store.contents import Contents, Place
from repro.store.lineage import named
from repro.workflows.extract import open_project
from repro.workflows.places import cache_root

_KINDS = ("code", "data")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SHOWN = 20

State = tuple[str, str]
"""What lies at a path: ``file`` and its sha256, ``link`` and its target, another kind and ''."""


@frozen
class Restored:
    """What was written (paths), how many files were the same already, and what was not touched.

    ``replaced`` are those of ``written`` that no version held (``--force``). ``left`` lie in
    the folder and belong to other versions only. ``skipped`` says why.
    """

    folder: Path
    written: tuple[str, ...]
    replaced: tuple[str, ...]
    same: int
    left: tuple[str, ...]
    skipped: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "folder": str(self.folder),
            "written": list(self.written),
            "replaced": list(self.replaced),
            "same": self.same,
            "left": list(self.left),
            "skipped": list(self.skipped),
        }


@frozen
class _Wanted:
    """A file of the version: its bytes at ``source``, or a link's text; ``mode`` 0755 or 0644."""

    state: State
    source: str
    mode: int


class Plan:
    """A restoration that was looked through and found harmless; ``write`` does it."""

    def __init__(
        self, folder: Path, wanted: Mapping[str, _Wanted], *, same: int, replaced: Sequence[str],
        left: Sequence[str], skipped: Sequence[str],
    ) -> None:  # fmt: skip
        """For ``plan_restore``."""
        self._folder = folder
        self._wanted = wanted
        self._same = same
        self._replaced = replaced
        self._left = left
        self._skipped = skipped

    def write(self) -> Restored:
        """Write each file beside its place and rename it. Raises StorageError."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            root = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                for path, wanted in self._wanted.items():
                    _write(root, path, wanted)
            finally:
                os.close(root)
        except OSError as error:
            raise StorageError(
                f"{printable(str(error.filename or self._folder))} cannot be written: "
                f"{error.strerror}",
                hint="the version is the default now; what was restored so far is in the folder",
            ) from None
        return Restored(
            folder=self._folder,
            written=tuple(self._wanted),
            replaced=tuple(self._replaced),
            same=self._same,
            left=tuple(self._left),
            skipped=tuple(self._skipped),
        )


def plan_restore(
    archive: Archive,
    version: VersionInfo,
    folder: Path,
    force: bool,
    environ: Mapping[str, str],
    observer: Observer = silent,
) -> Plan:
    """Look through a restoration of a version's code and data into ``folder``; writes nothing.

    A file there that is neither absent nor as in any version of the archive (its inputs or
    recorded results) is the person's: ProjectError, unless ``force``. What is no file or
    link, or lies behind a link, is never replaced. Raises UsageError, ArchiveError.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{printable(str(folder))} is not a folder")
    recording = archive.recording(version)
    layers = [layer for layer in version.layers if layer.kind in _KINDS]
    places = Cache(cache_root(environ)).layers(archive, layers, observer)
    files, skipped = _project(places, recording.claims.root)
    skipped += _environments(archive, version, recording.claims.root)
    known, results = _known(archive)
    missing = not folder.exists()
    wanted: dict[str, _Wanted] = {}
    changed: list[str] = []
    blocked: list[str] = []
    for path, file in files.items():
        there = None if missing else _state(folder, path)
        if there == file.state and _same_mode(folder / path, file):
            continue
        if there is not None and there[0] not in ("file", "link"):
            blocked.append(f"{printable(path)}: {there[0]}")
        elif there not in (None, file.state) and there not in known.get(path, ()):
            changed.append(path)
        wanted[path] = file
    if blocked:
        raise _refusal("cannot be restored", blocked, "move away what stands in the way")
    if changed and not force:
        raise _refusal(
            "changed since: in no version of the archive",
            [printable(path) for path in changed],
            "keep them with `repro snapshot --tag NAME`, or replace them with --force",
        )
    return Plan(
        folder, wanted, same=len(files) - len(wanted), replaced=changed,
        left=[] if missing else _left(folder, known.keys() - files.keys() - results),
        skipped=skipped,
    )  # fmt: skip


def _refusal(what: str, lines: Sequence[str], hint: str) -> ProjectError:
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return ProjectError(
        f"{len(lines)} file{'' if len(lines) == 1 else 's'} {what}; nothing was done",
        hint=hint,
        details=[*lines[:_SHOWN], *more],
        slug="changed-files",
    )


def _project(layers: Sequence[Path], root: str) -> tuple[dict[str, _Wanted], list[str]]:
    """The project's files of a version by path, from its unpacked layers, the topmost winning."""
    found: dict[str, _Wanted] = {}
    skipped: list[str] = []
    if not root.startswith("/") or os.path.normpath(root) != root or root.startswith("//"):
        raise ArchiveError("the project folder in the image is no plain absolute path")
    for layer in layers:
        folder = open_project(layer, root)
        if folder is None:
            continue
        os.close(folder)  # no link on the way: the layer's path may be used
        top = os.path.join(layer, root.lstrip("/"))
        for path, status in walk(top):
            if is_whiteout(status):
                for each in [e for e in found if e == path or e.startswith(path + "/")]:
                    del found[each]
                continue
            file = _wanted(os.path.join(top, path), status)
            if file is not None and file.state[0] == "link" and _leads_out(path, file.state[1]):
                skipped.append(f"{printable(path)}: a link that leads outside")
            elif file is not None:
                found[path] = file
    return found, skipped


def _wanted(place: str, status: os.stat_result) -> _Wanted | None:
    if stat.S_ISLNK(status.st_mode):
        return _Wanted(state=("link", os.readlink(place)), source=place, mode=0o777)
    if stat.S_ISREG(status.st_mode):
        with open(place, "rb") as stream:
            digest = Digest.of_file(stream)
        mode = 0o755 if status.st_mode & 0o100 else 0o644
        return _Wanted(state=("file", digest.hex), source=place, mode=mode)
    return None


def _leads_out(path: str, target: str) -> bool:
    inside = os.path.normpath(os.path.join(os.path.dirname(path), target))
    return target.startswith("/") or inside == ".." or inside.startswith("../")


def _known(archive: Archive) -> tuple[dict[str, set[State]], set[str]]:
    """What any version holds at a project path, and which paths are results."""
    known: dict[str, set[State]] = {}
    results: set[str] = set()
    seen: set[tuple[str, Digest]] = set()
    for each in named(archive.versions):
        claims = archive.recording(each.version).claims
        # The same layer may have been read already, below the same folder.
        own = {layer.diff_id for layer in each.version.layers if layer.kind in _KINDS}
        own = {digest for digest in own if (claims.root, digest) not in seen}
        seen |= {(claims.root, digest) for digest in own}
        others = {layer.diff_id for layer in each.version.layers} - own
        contents = Contents(archive, each.version, without=others)
        for path, place in _below(contents, claims.root):
            known.setdefault(path, set()).add(_place_state(contents.bytes_of(place)))
        for output in claims.outputs:
            results.add(output.path)
            if not output.link:
                known.setdefault(output.path, set()).add(("file", output.digest.hex))
    return known, results


def _below(contents: Contents, root: str) -> Iterator[tuple[str, Place]]:
    prefix = root.rstrip("/") + "/"
    for place in contents.below(root):
        if place.type != "folder":
            yield place.path[len(prefix) :], place


def _place_state(place: Place) -> State:
    if place.type == "symlink":
        return ("link", place.target or "")
    return ("file", place.digest.hex if place.digest is not None else "")


def _environments(archive: Archive, version: VersionInfo, root: str) -> list[str]:
    own = {layer.diff_id for layer in version.layers if layer.kind in _KINDS}
    count = sum(1 for _ in _below(Contents(archive, version, without=own), root))
    if not count:
        return []
    return [f"{count} files of environments inside the project (such as .venv): install them anew"]


def _state(folder: Path, path: str) -> State | None:
    """What lies at a path of the folder; None when nothing. No link is followed."""
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        parent, _, leaf = path.rpartition("/")
        try:
            base = open_inside(root, parent or ".", _FOLDER)
        except FileNotFoundError:
            return None
        except OSError:
            return (f"{printable(parent)} is no plain folder", "")
        try:
            return _leaf_state(base, leaf)
        finally:
            os.close(base)
    finally:
        os.close(root)


def _leaf_state(base: int, leaf: str) -> State | None:
    try:
        status = os.stat(leaf, dir_fd=base, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(status.st_mode):
        return ("link", os.readlink(leaf, dir_fd=base))
    if not stat.S_ISREG(status.st_mode):
        return ("a folder stands there" if stat.S_ISDIR(status.st_mode) else "a special file", "")
    with open(os.open(leaf, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=base), "rb") as stream:
        return ("file", Digest.of_file(stream).hex)


def _same_mode(place: Path, wanted: _Wanted) -> bool:
    """Whether a file that is the same may also be executed as recorded."""
    return wanted.state[0] == "link" or bool(place.lstat().st_mode & 0o100) == (
        wanted.mode == 0o755
    )


def _left(folder: Path, paths: set[str]) -> list[str]:
    return sorted(path for path in paths if os.path.lexists(folder / path))


def _write(root: int, path: str, wanted: _Wanted) -> None:
    """One file, whole or not at all; no link on the way is followed."""
    parent, _, leaf = path.rpartition("/")
    base = open_made(root, parent)
    temporary = f".{leaf[:60]}.repro-restore"
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=base)
        if wanted.state[0] == "link":
            os.symlink(wanted.state[1], temporary, dir_fd=base)
        else:
            fd = os.open(temporary, _NEW, wanted.mode, dir_fd=base)
            with os.fdopen(fd, "wb") as out, open(wanted.source, "rb") as stream:
                shutil.copyfileobj(stream, out, 1 << 20)
        os.rename(temporary, leaf, src_dir_fd=base, dst_dir_fd=base)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=base)
        raise
    finally:
        os.close(base)
