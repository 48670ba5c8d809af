"""What registries can give back of an archive's layers: artifacts, and which members fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from packaging.tags import Tag, parse_tag

from repro.errors import RemoteError
from repro.image.pieces import Piece, Pool
from repro.image.thinning import LEAST
from repro.model.lock import LockedPackage
from repro.model.thin import ARTIFACT_LIMIT, ThinArtifact
from repro.pin.deb_places import likely_urls
from repro.pin.debsources import deb_sources
from repro.pin.download import Fetcher
from repro.pin.members import each_member
from repro.pin.origin_apt import DebKey
from repro.pin.pip_settings import PipSettings, pip_settings
from repro.pin.public import is_public, pool_path, public_wheel
from repro.pin.simple_index import IndexFile, index_files
from repro.pin.wheel import fits
from repro.primitives.digest import Digest
from repro.primitives.events import Event, EventKind, Observer
from repro.primitives.texts import printable
from repro.workflows.apt_lists import candidates, offered
from repro.workflows.provenance import deb_keys

_TRIES = 4
_WORTH = 50
"""An artifact is named only when layers hold a fiftieth of its bytes: who makes the archive
whole has to fetch all of it."""


class Published:
    """Members of published artifacts that layers hold, by the sha256 of their bytes.

    ``kept`` says why a package's files stay in the archive, by name and version.
    """

    def __init__(self, wanted: Mapping[str, int], pool: Pool) -> None:
        """``wanted`` are files of layers: size by sha256 (hexadecimal)."""
        self._wanted = wanted
        self._sizes = {size for size in wanted.values() if size >= LEAST}
        self._pool = pool
        self.artifacts: list[ThinArtifact] = []
        self.members: dict[str, tuple[int, str]] = {}
        self.pieces: dict[tuple[int, str], Piece] = {}
        self.kept: dict[str, str] = {}

    def add(self, artifact: ThinArtifact, stream: BinaryIO) -> int:
        """Read an artifact; how many of its members layers hold that no earlier one gave.

        0 also where it is too little to be worth the download.
        """
        number = len(self.artifacts)
        found: dict[str, Piece] = {}

        def take(name: str, size: int, pieces: Iterator[bytes] | Iterator[memoryview]) -> None:
            if size not in self._sizes:
                return
            piece = self._pool.add(pieces, lambda sha256: self._is_new(sha256, size, found))
            if piece is not None:
                found[name] = piece

        each_member(artifact.kind, stream, take)
        if sum(piece.size for piece in found.values()) < artifact.size // _WORTH:
            return 0
        for name, piece in found.items():
            self.members[piece.sha256] = (number, name)
            self.pieces[number, name] = piece
        if found:
            self.artifacts.append(artifact)
        return len(found)

    def _is_new(self, sha256: str, size: int, found: Mapping[str, Piece]) -> bool:
        return (
            self._wanted.get(sha256) == size
            and sha256 not in self.members
            and all(piece.sha256 != sha256 for piece in found.values())
        )


def gather(
    published: Published,
    packages: Sequence[LockedPackage],
    environ: Mapping[str, str],
    observer: Observer,
) -> None:
    """Fetch the wheels and Debian packages of a lock and note what layers hold of them.

    What cannot be had stays in the archive, with why in ``kept``. Raises StorageError.
    """
    settings = pip_settings(environ)
    fetcher = Fetcher(settings)
    wheels = {(p.name, p.version): p for p in packages if p.source == "pip"}
    keys = list(deb_keys(packages))
    total = len(wheels) + len(keys)
    for number, package in enumerate(wheels.values()):
        _tell(observer, f"{package.name} {package.version}", number, total)
        label = f"{package.name} {package.version}"
        try:
            why = _wheel(published, package, settings, fetcher)
        except RemoteError as error:
            why = printable(error.message)
        if why is not None:
            published.kept[label] = why
    debs = _Debs(published, packages, keys, fetcher, environ)
    for number, key in enumerate(keys, len(wheels)):
        _tell(observer, f"{key.name} {key.version}", number, total)
        try:
            why = debs.add(key)
        except RemoteError as error:
            why = printable(error.message)
        if why is not None:
            published.kept[f"{key.name} {key.version}"] = why
    for package in packages:
        if package.source not in ("pip", "apt"):
            why = f"{package.source} packages are kept whole"
            published.kept[f"{package.name} {package.version}"] = why


def _tell(observer: Observer, text: str, done: int, total: int) -> None:
    observer(Event(kind=EventKind.PROGRESS, phase="fetch", text=text, done=done, total=total))


def _wheel(
    published: Published, package: LockedPackage, settings: PipSettings, fetcher: Fetcher
) -> str | None:
    """Add the wheel of a package; why not, or None."""
    if "direct" in package.facts:
        return f"installed from {printable(package.facts['direct'], 40)}, not from an index"
    listed, failed = index_files(settings, fetcher, package.name)
    tags = _tags(package)
    fitting = [f for f in listed if fits(f.filename, package.name, package.version, tags)]
    if not fitting:
        if failed is not None:
            raise failed
        return "no index has a wheel of it: built from source, or not published"
    for offer in sorted(fitting, key=lambda f: _rank(f, package))[:_TRIES]:
        with fetcher.file(offer.url, offer.sha256, ARTIFACT_LIMIT) as stream:
            if published.add(_of_wheel(package, offer, stream), stream):
                return None
    return "too little of its published wheel is in the layers"


def _rank(offer: IndexFile, package: LockedPackage) -> tuple[bool, bool]:
    """The file that the lock names first, then those of an index that gives hashes."""
    return f"sha256:{offer.sha256}" != package.hash, offer.sha256 is None


def _tags(package: LockedPackage) -> frozenset[Tag]:
    found: set[Tag] = set()
    for word in package.facts.get("tags", "").split()[:200]:
        if word.count("-") == 2:
            found |= parse_tag(word)
    return frozenset(found)


def _of_wheel(package: LockedPackage, offer: IndexFile, stream: BinaryIO) -> ThinArtifact:
    digest = Digest.of_file(stream)
    size = stream.tell()
    stream.seek(0)
    return ThinArtifact(
        kind="wheel",
        name=package.name,
        version=package.version,
        filename=offer.filename,
        sha256=digest.hex,
        size=size,
        url=public_wheel(offer.url, stream),
    )


class _Debs:
    """Debian packages: those that apt's lists name, and older ones that still lie beside them."""

    def __init__(
        self,
        published: Published,
        packages: Sequence[LockedPackage],
        keys: Sequence[DebKey],
        fetcher: Fetcher,
        environ: Mapping[str, str],
    ) -> None:
        self._published = published
        self._fetcher = fetcher
        self._locked = {(p.name, p.version): p for p in packages if p.source == "apt"}
        known = offered(keys, environ) if keys else {}
        self._known = known or {}
        self._without_apt = known is None
        unlisted = [key for key in keys if _triple(key) not in self._known]
        self._others = candidates(unlisted, environ) if unlisted and known is not None else {}
        self._sources = deb_sources("") if self._others else []

    def add(self, key: DebKey) -> str | None:
        """Add a package; why not, or None. Raises RemoteError."""
        found = self._known.get(_triple(key))
        if found is None:
            return self._unlisted(key)
        if found.sha256 is None:
            return "the package lists give no SHA256"
        limit = min(found.size, ARTIFACT_LIMIT)
        with self._fetcher.file(found.url, found.sha256, limit) as stream:
            return self._read(key, found.url, stream)

    def _unlisted(self, key: DebKey) -> str | None:
        """What the archive still has where it had it. Its files prove that it is the one."""
        if self._without_apt:
            return "this machine has no apt to ask for the package"
        other = self._others.get((key.name, key.architecture))
        for url in likely_urls(key, other, self._sources) if other else ():
            stream = self._fetcher.unproved(url, ARTIFACT_LIMIT)
            if stream is not None:
                with stream:
                    return self._read(key, url, stream)
        return "no package source of this machine offers this version"

    def _read(self, key: DebKey, url: str, stream: BinaryIO) -> str | None:
        digest = Digest.of_file(stream)
        size = stream.tell()
        stream.seek(0)
        pool = pool_path(url)
        package = self._locked[key.name, key.version]
        artifact = ThinArtifact(
            kind="deb",
            name=key.name,
            version=key.version,
            architecture=key.architecture,
            filename=Path(pool or url).name,
            sha256=digest.hex,
            size=size,
            url=url if is_public(url) else None,
            pool=pool,
            snapshot=package.facts.get("snapshot") if package.hash == str(digest) else None,
        )
        if self._published.add(artifact, stream):
            return None
        return "too little of its published package is in the layers"


def _triple(key: DebKey) -> tuple[str, str, str]:
    return key.name, key.version, key.architecture
