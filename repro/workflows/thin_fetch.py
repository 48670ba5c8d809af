"""The artifacts of a thin archive: from folders, this machine's indexes and apt, public archives.

An archive says which files it wants, never where on this machine or in its network to ask: an
address from an archive is asked for only when it is one of a well-known public package archive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from repro.errors import RemoteError, UsageError
from repro.model.thin import ThinArtifact
from repro.pin.deb_places import urls_below
from repro.pin.debsources import deb_sources
from repro.pin.download import Fetcher
from repro.pin.origin_apt import DebKey
from repro.pin.pip_settings import pip_settings
from repro.pin.public import is_public
from repro.pin.simple_index import index_files
from repro.primitives.digest import Digest
from repro.primitives.events import Event, EventKind, Observer
from repro.primitives.texts import human_size, printable
from repro.workflows.apt_lists import offered

_SUFFIXES = (".whl", ".deb")
_SHOWN = 20

Use = Callable[[int, BinaryIO], None]
"""Given an artifact's number and its bytes, which have the right hash."""


class Store:
    """Wheels and Debian packages in folders of this machine, found by their bytes."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Raises UsageError when one is no folder."""
        self._by_size: dict[int, list[Path]] = {}
        self._hashes: dict[Path, str] = {}
        for folder in folders:
            if not folder.is_dir():
                raise UsageError(f"there is no folder {printable(str(folder))}")
            for path in sorted(folder.rglob("*")):
                if path.name.endswith(_SUFFIXES) and path.is_file():
                    self._by_size.setdefault(path.stat().st_size, []).append(path)

    def find(self, artifact: ThinArtifact) -> Path | None:
        """The file with these bytes, whatever its name; None when no folder has it."""
        for path in self._by_size.get(artifact.size, []):
            if path not in self._hashes:
                self._hashes[path] = Digest.of_path(path).hex
            if self._hashes[path] == artifact.sha256:
                return path
        return None


def fetch_all(
    artifacts: Sequence[ThinArtifact],
    use: Use,
    *,
    folders: Sequence[Path],
    environ: Mapping[str, str],
    offline: bool,
    observer: Observer,
) -> int:
    """Give every artifact to ``use``; the bytes that came over the network.

    Raises RemoteError (slug thin-missing) that names all which cannot be had, with why.
    """
    store = Store(folders)
    absent: list[int] = []
    for number, artifact in enumerate(artifacts):
        place = store.find(artifact)
        if place is None:
            absent.append(number)
            continue
        with place.open("rb") as stream:
            use(number, stream)
    if absent and not offline:
        size = human_size(sum(artifacts[number].size for number in absent))
        text = f"{len(absent)} files to fetch, {size}"
        observer(Event(kind=EventKind.NOTE, phase="fetch", text=text))
    network = None if offline or not absent else _Network([artifacts[n] for n in absent], environ)
    failed: list[str] = []
    fetched = 0
    for done, number in enumerate(absent):
        artifact = artifacts[number]
        observer(
            Event(
                kind=EventKind.PROGRESS, phase="fetch", text=artifact.label,
                done=done, total=len(absent),
            )
        )  # fmt: skip
        why = "no folder given by --from has it" if network is None else ""
        if network is not None:
            try:
                with network.get(artifact) as stream:
                    use(number, stream)
                    fetched += artifact.size
                    continue
            except RemoteError as error:
                why = printable(error.message, 200)
        failed.append(f"{artifact.label}: {why}")
    if failed:
        raise _missing(failed, len(artifacts), offline)
    return fetched


def _missing(failed: Sequence[str], total: int, offline: bool) -> RemoteError:
    shown = [*failed[:_SHOWN], *([f"and {len(failed) - _SHOWN} more"] * (len(failed) > _SHOWN))]
    hint = (
        "put the files into a folder and name it with --from FOLDER; or ask for the whole archive"
    )
    return RemoteError(
        f"{len(failed)} of {total} files that the thin archive needs cannot be had",
        details=shown,
        hint=f"leave out --offline, or {hint}" if offline else hint,
        slug="thin-missing",
    )


class _Network:
    """This machine's package indexes and apt first, then public archives."""

    def __init__(self, artifacts: Sequence[ThinArtifact], environ: Mapping[str, str]) -> None:
        self._settings = pip_settings(environ)
        self._fetcher = Fetcher(self._settings)
        keys = [_key(each) for each in artifacts if each.kind == "deb"]
        self._apt = (offered(keys, environ) or {}) if keys else {}
        self._sources = deb_sources("") if keys else []

    def get(self, artifact: ThinArtifact) -> BinaryIO:
        """The artifact's bytes, checked. Raises RemoteError with the last reason why not."""
        last = RemoteError("no index or package source that was asked has it")
        for url in dict.fromkeys(self._urls(artifact)):
            try:
                return self._fetcher.file(url, artifact.sha256, artifact.size)
            except RemoteError as error:
                last = error
        raise last

    def _urls(self, artifact: ThinArtifact) -> Iterator[str]:
        if artifact.kind == "wheel":
            # What an index cannot say now may lie at the public address all the same.
            found, _ = index_files(self._settings, self._fetcher, artifact.name)
            for file in found:
                same = file.sha256 in (None, artifact.sha256)
                if same and file.filename == artifact.filename:
                    yield file.url
        else:
            key = _key(artifact)
            listed = self._apt.get((key.name, key.version, key.architecture))
            if listed is not None and listed.sha256 == artifact.sha256:
                yield listed.url
            if artifact.pool is not None:
                yield from urls_below(self._sources, artifact.pool)
        if artifact.url is not None and is_public(artifact.url):
            yield artifact.url
        if artifact.snapshot and artifact.pool:
            url = f"{artifact.snapshot.rstrip('/')}/{artifact.pool}"
            if is_public(url):
                yield url


def _key(artifact: ThinArtifact) -> DebKey:
    return DebKey(name=artifact.name, version=artifact.version, architecture=artifact.architecture)
