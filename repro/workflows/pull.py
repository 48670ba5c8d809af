"""``repro pull``: a version from a registry into an archive file, byte for byte checked."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from repro.errors import ArchiveError, RemoteError, StorageError, UsageError
from repro.model.oci import (
    CLAIMS,
    LABEL_CLAIMS,
    MANIFEST,
    RECORDING,
    REF_NAME,
    Descriptor,
    Manifest,
)
from repro.model.recording import Claims
from repro.primitives.aside import in_threads
from repro.primitives.canonical import CLAMP, load
from repro.primitives.digest import Digest
from repro.primitives.events import Observer, Tally, done, silent
from repro.primitives.files import private_folder
from repro.primitives.frozen import frozen
from repro.primitives.texts import human_size, printable
from repro.remote.reference import Reference
from repro.remote.registry import MAX_MANIFEST, Registry
from repro.remote.transfer import pull_blob
from repro.store.archive import Archive
from repro.store.blobs import Blobs, BlobSource
from repro.store.catalog import VersionInfo, read_versions
from repro.store.turn import turn
from repro.store.versions import Version
from repro.store.writer import write_archive
from repro.workflows.places import cache_root, scratch
from repro.workflows.push import blobs_of
from repro.workflows.registries import WORKERS, open_registry, read_config
from repro.workflows.rewriting import carried
from repro.workflows.sealing import readme_text

_TYPES = ("application/vnd.repro.", "application/vnd.cyclonedx")
_MOST_ARTIFACTS = 64
_MARGIN = 64 << 20
_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES)


@frozen
class Pulled:
    """A finished pull. ``bytes`` came over the network, ``reused`` were here already."""

    path: Path
    reference: Reference
    digest: Digest
    tag: str
    bytes: int
    reused: int

    def to_json(self) -> dict[str, object]:
        """The document ``repro.pull/1``."""
        return {
            "schema": "repro.pull/1",
            "reference": str(self.reference),
            "archive": {"digest": str(self.digest), "path": str(self.path), "tag": self.tag},
            "bytes": self.bytes,
            "reused": self.reused,
        }


def pull(
    reference: Reference,
    output: Path,
    environ: Mapping[str, str],
    *,
    insecure: bool = False,
    others: Sequence[BlobSource] = (),
    observer: Observer = silent,
) -> Pulled:
    """Fetch a version into ``output``; into an archive that is there as one more version.

    ``others`` are places where blobs may lie already. Every byte is checked against its
    digest, and the archive is read whole by the strict reader before it gets its name.
    Raises RemoteError (also when this disk has no room: docs/decisions/0012), ArchiveError
    (what came is no archive of repro), UsageError (the tag is taken by another version).
    What has arrived is kept for the next try.
    """
    registry = open_registry(reference, environ, insecure)
    started = time.monotonic()
    version = find_version(registry, reference)
    with (
        no_room_is_remote(reference),
        _Target(output, version) as target,
        _arrivals(environ) as folder,
    ):
        sources = [*target.sources, *others]
        missing = _missing(version, sources)
        _check_space(folder, missing)
        told = Tally("pull", sum(each.size for each in missing), observer)
        in_threads(
            [partial(pull_blob, registry, each, folder, progress=told.add) for each in missing],
            WORKERS,
        )
        # The registry's own manifests are made anew by the writer, from the same facts.
        target.write(Blobs(folder=folder, others=sources), observer)
        for each in missing:
            (folder / each.digest.hex).unlink(missing_ok=True)
    size = sum(each.size for each in missing)
    total = sum(layer.descriptor.size for layer in version.layers)
    text = f"{printable(str(reference))} · {human_size(size)} of {human_size(total)} fetched"
    observer(done("pull", text, time.monotonic() - started))
    return Pulled(
        path=output, reference=reference, digest=version.config_digest, tag=version.tag,
        bytes=size, reused=max(total - size, 0),
    )  # fmt: skip


@contextlib.contextmanager
def no_room_is_remote(reference: Reference) -> Iterator[None]:
    """A disk that is full or refuses ends a pull as a failing registry does, and says whose."""
    try:
        yield
    except (StorageError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _REFUSALS:
            raise
        said = error.message if isinstance(error, StorageError) else (error.strerror or "")
        hint = error.hint if isinstance(error, StorageError) else None
        raise RemoteError(
            f"pulling {printable(str(reference))}: {said}",
            hint=f"{hint or 'free some space'}; what has arrived is kept, the same command goes on",
            slug=StorageError.slug,
        ) from None


def find_version(registry: Registry, reference: Reference) -> VersionInfo:
    """What the registry says of a version, all of it checked but the layers.

    Raises RemoteError, ArchiveError when repro did not make it.
    """
    data, found = registry.manifest(reference.wanted)
    if found.media_type != MANIFEST:
        raise ArchiveError(
            f"{printable(str(reference))} is no archive of repro "
            f"({printable(found.media_type or 'no media type', 80)})"
        )
    manifest = Manifest.parse(load(data, "manifest"))
    config = read_config(registry, manifest)
    if config is None:
        raise ArchiveError(f"{printable(str(reference))} was not made by repro")
    documents = _Documents(registry)
    documents.keep(data)
    artifacts = _artifacts(registry, found.digest, config.labels.get(LABEL_CLAIMS), documents)
    if not artifacts:
        raise ArchiveError(
            f"{printable(str(reference))} has no recording beside it: nothing to verify against",
            hint="it may have been copied without its referrers: use `repro copy`, or "
            "`oras copy -r`",
        )
    image = Descriptor(
        media_type=MANIFEST,
        digest=found.digest,
        size=len(data),
        annotations={REF_NAME: reference.tag or "latest"},
        platform={"architecture": config.architecture, "os": "linux"},
    )
    (version,) = read_versions([image, *artifacts], documents.read)
    return version


class _Documents:
    """Small blobs of the registry, read once and checked."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._kept: dict[Digest, bytes] = {}

    def keep(self, data: bytes) -> None:
        self._kept[Digest.of(data)] = data

    def manifest(self, descriptor: Descriptor) -> Manifest:
        data, _ = self._registry.manifest(str(descriptor.digest))
        self.keep(data)
        return Manifest.parse(load(data, "artifact manifest"))

    def read(self, descriptor: Descriptor, what: str) -> bytes:
        """A document by its digest. Raises RemoteError, ArchiveError."""
        data = self._kept.get(descriptor.digest)
        if data is None:
            if descriptor.size > MAX_MANIFEST:
                raise ArchiveError(f"{what} has {descriptor.size} bytes", slug="archive-limit")
            answer = self._registry.session.request(
                "GET", self._registry.blob_address(descriptor.digest),
                scopes=self._registry.pull_scope,
            )  # fmt: skip
            data = answer.body
            if Digest.of(data) != descriptor.digest:
                raise RemoteError(
                    f"{self._registry.name} sent other bytes than {what}", slug="remote-digest"
                )
            self.keep(data)
        if len(data) != descriptor.size:
            raise ArchiveError(f"{what} has another size than its descriptor says")
        return data


def _artifacts(
    registry: Registry, subject: Digest, claims: str | None, documents: _Documents
) -> list[Descriptor]:
    """One artifact of each type; strangers' are left alone.

    Anybody who may push can add a recording: only one that holds the claims which the
    image's own label names is taken.
    """
    found: dict[str, Descriptor] = {}
    for listed in registry.referrers(subject)[:_MOST_ARTIFACTS]:
        if listed.media_type != MANIFEST or not (listed.artifact_type or "").startswith(_TYPES):
            continue
        manifest = documents.manifest(listed)
        kind = manifest.artifact_type or ""
        if manifest.subject is None or manifest.subject.digest != subject:
            continue
        blob = next((each for each in manifest.layers if each.media_type == CLAIMS), None)
        if kind == RECORDING and (blob is None or str(blob.digest) != claims):
            continue
        # Without annotations, as the archive's index names it.
        found[kind] = Descriptor(
            media_type=MANIFEST, digest=listed.digest, size=listed.size, artifact_type=kind
        )
    if RECORDING not in found:
        return []
    return [found[kind] for kind in sorted(found, key=_place)]


def _place(kind: str) -> tuple[int, str]:
    """The order in which snapshot writes them."""
    order = ("recording", "lock", "toc")
    short = kind.removeprefix("application/vnd.repro.").partition(".")[0]
    return (order.index(short) if short in order else len(order), kind)


class _Target:
    """The archive to be written: new, or an old one with one version more."""

    def __init__(self, output: Path, version: VersionInfo) -> None:
        self._output = output
        self._version = version
        self._old: Archive | None = None

    def __enter__(self) -> _Target:
        if not self._output.parent.is_dir():
            raise UsageError(f"there is no folder {printable(str(self._output.parent))}")
        if self._output.exists():
            self._old = Archive.open(self._output)
            try:
                self._check(self._old)
            except UsageError:
                self.close()
                raise
        return self

    def _check(self, old: Archive) -> None:
        known = {each.tag: each for each in old.versions}.get(self._version.tag)
        if known is None:
            return
        same = known.config_digest == self._version.config_digest
        raise UsageError(
            f"{printable(self._output.name)} has a version {self._version.tag} already"
            + (", the same one" if same else ", another one"),
            hint="write it elsewhere with -o FILE" if not same else None,
        )

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        if self._old is not None:
            self._old.close()

    @property
    def sources(self) -> list[BlobSource]:
        return [self._old] if self._old is not None else []

    def write(self, blobs: BlobSource, observer: Observer) -> None:
        """Write beside the place, read it back strictly, then give it its name.

        Another writer of the same archive waits; what it added meanwhile is kept.
        """
        claims = _claims(self._version, blobs)
        with contextlib.ExitStack() as stack:
            place = stack.enter_context(turn(self._output, observer))
            kept: list[Version] = []
            if place.is_file():
                old = stack.enter_context(Archive.open(place))
                self._check(old)
                kept = carried(old.versions)
                blobs = Blobs(others=[blobs, old])
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix=".repro-pull-", dir=place.parent)
            )
            beside = Path(folder) / place.name
            write_archive(
                beside,
                name=claims.name,
                versions=[*kept, self._version.as_version()],
                blobs=blobs,
                readme=readme_text(claims.name, self._version.config_digest, claims),
                clamp=CLAMP,
                observer=observer,
            )
            self._read_back(beside, observer)
            os.replace(beside, place)

    def _read_back(self, beside: Path, observer: Observer) -> None:
        with Archive.open(beside) as archive:
            again = archive.version(self._version.tag)
            if again.manifest_digest != self._version.manifest_digest:
                raise ArchiveError("the image was not written as this repro writes it")
            archive.recording(again)
            archive.verify(observer)


def _claims(version: VersionInfo, blobs: BlobSource) -> Claims:
    artifact = version.artifact(RECORDING)
    descriptor = artifact.blob(CLAIMS) if artifact is not None else None
    if descriptor is None:
        raise ArchiveError("the recording holds no claims")
    with Blobs(others=[blobs]).open_blob(descriptor) as stream:
        return Claims.parse(load(stream.read(), "claims"))


def _missing(version: VersionInfo, sources: Sequence[BlobSource]) -> list[Descriptor]:
    return [
        each
        for each in blobs_of(version)
        if all(source.locate(each.digest) is None for source in sources)
    ]


@contextlib.contextmanager
def _arrivals(environ: Mapping[str, str]) -> Iterator[Path]:
    """Where blobs arrive: what an interrupted pull left lies there.

    One process at a time has that folder; another one meanwhile gets a folder of its own,
    whose blobs are fetched from the beginning.
    """
    root = cache_root(environ)
    folder = root / "pulls"
    try:
        private_folder(folder)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be made: {error.strerror}", hint="set REPRO_CACHE"
        ) from None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with scratch(root / "runs", "pull") as own:
                yield own
            return
        except OSError:
            pass  # a file system without locks: as before there were any
        yield folder
    finally:
        os.close(fd)


def _check_space(folder: Path, missing: Sequence[Descriptor]) -> None:
    wanted = sum(each.size for each in missing)
    free = shutil.disk_usage(folder).free
    if wanted + _MARGIN > free:
        raise StorageError(
            f"{human_size(wanted)} are to be fetched, {folder} has {human_size(free)} free",
            hint="free some space, or set REPRO_CACHE to another disk",
        )
