"""Remote inputs in the project for the time of a snapshot, and gone again afterwards."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from repro.errors import ProjectError
from repro.model.entry import LayerKind
from repro.model.observation import Closure
from repro.model.remote_input import RemoteInput, RemoteSource
from repro.primitives.digest import Digest
from repro.primitives.events import Event, EventKind, Observer, done
from repro.primitives.fetch import host_of
from repro.primitives.texts import human_size, printable
from repro.store.downloads import Downloads, wrong_digest
from repro.workflows.places import cache_root

_STEP = 1 << 20


class PlacedInputs:
    """``sources`` says what each remote input was; ``keep`` lets the files stay."""

    def __init__(self) -> None:
        self.sources: tuple[RemoteSource, ...] = ()
        self._files: dict[str, RemoteSource] = {}
        self._folders: list[str] = []

    def keep(self) -> None:
        """The files stay in the author's folder (--write-back)."""
        self._files.clear()
        self._folders.clear()

    def remove(self) -> None:
        """Take away what was placed, as far as it is still what was placed."""
        for path, source in self._files.items():
            with contextlib.suppress(OSError):
                if _digest(path) == source.digest:
                    os.unlink(path)
        for folder in reversed(self._folders):
            # A folder that something else lies in stays.
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        self.keep()

    def make_folder(self, folder: str) -> None:
        """Make a folder and its parents, and remember those that were not there."""
        if os.path.isdir(folder):
            return
        self.make_folder(os.path.dirname(folder))
        os.mkdir(folder)
        self._folders.append(folder)

    def placed(self, path: str, source: RemoteSource) -> None:
        """Remember a file that was put there."""
        self._files[path] = source


@contextlib.contextmanager
def placed(
    inputs: Sequence[RemoteInput], root: str, environ: Mapping[str, str], observer: Observer
) -> Iterator[PlacedInputs]:
    """Have every remote input at its path in the project while the body runs.

    A file that lies there already is used when its digest is right. Raises ProjectError
    (another digest, a file in the way), RemoteError (the network), StorageError; the folder
    is then as it was.
    """
    found = PlacedInputs()
    try:
        if inputs:
            downloads = Downloads(cache_root(environ) / "remote")
            found.sources = tuple(_one(each, root, downloads, found, observer) for each in inputs)
        yield found
    finally:
        found.remove()


def as_data(closure: Closure, root: str, sources: Sequence[RemoteSource]) -> Closure:
    """The closure with remote inputs in the data layer, however small they are."""
    places = {f"{root}/{source.path}" for source in sources}
    if not places:
        return closure
    files = tuple(
        replace(entry, kind=LayerKind.DATA) if entry.path in places else entry
        for entry in closure.files
    )
    return replace(closure, files=files)


def _one(
    wanted: RemoteInput, root: str, downloads: Downloads, found: PlacedInputs, observer: Observer
) -> RemoteSource:
    place = os.path.join(root, wanted.path)
    if not os.path.realpath(place).startswith(root + "/"):
        raise ProjectError(
            f"inputs.remote: {printable(wanted.path)} leads out of the project by a link",
            slug="remote-path",
        )
    started = time.monotonic()
    shown = printable(wanted.path, 80)
    if os.path.lexists(place):
        size, how, here = _there(wanted, place), "already there", True
    else:
        size, cached = _bring(wanted, place, downloads, found, observer)
        here = False
        how = "from the cache" if cached else f"from {host_of(wanted.url)}"
    text = f"{shown} · {human_size(size)} {how} · sha256 as declared"
    observer(done("fetch", text, time.monotonic() - started))
    return _source(wanted, size, placed=not here)


def _there(wanted: RemoteInput, place: str) -> int:
    """The size of a file that is in its place already. Raises ProjectError if it is another."""
    status = os.stat(place)
    if not stat.S_ISREG(status.st_mode):
        raise ProjectError(
            f"inputs.remote: {printable(wanted.path)} is there and is no file", slug="remote-path"
        )
    digest = Digest.of_path(place)
    if digest != wanted.digest:
        error = wrong_digest(wanted, digest, status.st_size)
        raise ProjectError(
            f"{printable(wanted.path)} lies in the project and is not the file that repro.yml names",
            hint="remove or rename it, or correct its sha256 in inputs.remote",
            details=error.details,
            slug=error.slug,
        )
    return status.st_size


def _bring(
    wanted: RemoteInput, place: str, downloads: Downloads, found: PlacedInputs, observer: Observer
) -> tuple[int, bool]:
    last = [0]

    def progress(there: int, total: int | None) -> None:
        if there - last[0] >= _STEP or there == total:
            last[0] = there
            text = printable(wanted.path, 60)
            observer(
                Event(
                    kind=EventKind.PROGRESS, phase="fetch", text=text, done=there, total=total
                )
            )  # fmt: skip

    folder = os.path.dirname(place)
    try:
        found.make_folder(folder)
        with tempfile.TemporaryDirectory(prefix=".repro-fetch-", dir=folder) as scratch:
            target = Path(scratch, "file")
            cached = downloads.bring(wanted, target, progress)
            target.chmod(0o644)
            os.rename(target, place)
    except OSError as error:
        raise ProjectError(
            f"{printable(wanted.path)} cannot be placed in the project: {error.strerror}",
            hint="make the folder writable for the time of the snapshot, or put the file there",
            slug="remote-path",
        ) from None
    size = os.lstat(place).st_size
    found.placed(place, _source(wanted, size))
    return size, cached


def _source(wanted: RemoteInput, size: int, *, placed: bool = True) -> RemoteSource:
    return RemoteSource(
        url=wanted.url, digest=wanted.digest, path=wanted.path, size=size, placed=placed
    )


def _digest(path: str) -> Digest:
    # A link in the file's place is none of ours.
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as stream:
        return Digest.of_file(stream)
