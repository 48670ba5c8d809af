"""``repro push``: a version of an archive to a registry; its tag moves when all has arrived."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from repro.model.oci import MANIFEST, Descriptor
from repro.primitives.digest import Digest
from repro.primitives.events import Event, EventKind, Observer, done, silent
from repro.primitives.frozen import frozen
from repro.primitives.texts import human_size, printable
from repro.remote.reference import Reference
from repro.remote.registry import Registry
from repro.remote.transfer import push_blob
from repro.store.archive import Archive, VersionInfo
from repro.store.blobs import open_place
from repro.store.catalog import references
from repro.workflows.registries import WORKERS, open_registry


@frozen
class Pushed:
    """What a push did. ``sent``, ``there`` and ``mounted`` count blobs; ``bytes`` were sent."""

    reference: Reference
    digest: Digest
    manifest: Digest
    sent: int
    there: int
    mounted: int
    bytes: int

    def to_json(self) -> dict[str, object]:
        """The document ``repro.push/1``."""
        return {
            "schema": "repro.push/1",
            "reference": str(self.reference),
            "archive": {"digest": str(self.digest), "manifest": str(self.manifest)},
            "blobs": {"sent": self.sent, "there": self.there, "mounted": self.mounted},
            "bytes": self.bytes,
        }


def push(
    archive: Path,
    tag: str | None,
    reference: Reference,
    environ: Mapping[str, str],
    *,
    insecure: bool = False,
    mounts: Sequence[str] = (),
    observer: Observer = silent,
) -> Pushed:
    """Send a version. ``reference`` without a tag gets the version's own.

    Blobs come first, then the artifacts, the tag last: who pulls meanwhile gets the old
    version whole. Raises RemoteError; a second try sends only what is missing.
    """
    with Archive.open(archive) as source:
        version = source.version(tag)
        target = replace(reference, tag=reference.tag or version.tag)
        registry = open_registry(target, environ, insecure)
        source.verify(observer)
        started = time.monotonic()
        blobs = _blobs(version)
        told = Progress("push", sum(each.size for each in blobs), observer)

        def one(descriptor: Descriptor) -> str:
            return push_blob(
                registry, descriptor, lambda: _opened(source, descriptor), mounts=mounts,
                progress=told.add,
            )  # fmt: skip

        how = in_parallel(one, blobs)
        _manifests(source, version, registry, target)
        sent = [blob for blob, way in zip(blobs, how, strict=True) if way == "sent"]
        size = sum(blob.size for blob in sent)
        text = f"{printable(str(target))} · {len(sent)} of {len(blobs)} blobs, {human_size(size)}"
        observer(done("push", text, time.monotonic() - started))
        return Pushed(
            reference=target, digest=version.config_digest, manifest=version.manifest_digest,
            sent=len(sent), there=how.count("there"), mounted=how.count("mounted"), bytes=size,
        )  # fmt: skip


def _opened(source: Archive, descriptor: Descriptor) -> BinaryIO:
    place = source.locate(descriptor.digest)
    assert place is not None, "the archive was verified"
    return open_place(place)


def _blobs(version: VersionInfo) -> list[Descriptor]:
    """Everything but manifests, each once, the largest first."""
    found = {each.digest: each for _, each in references(version) if each.media_type != MANIFEST}
    return sorted(found.values(), key=lambda each: (-each.size, each.digest))


def _manifests(
    source: Archive, version: VersionInfo, registry: Registry, target: Reference
) -> None:
    registry.put_manifest(str(version.manifest_digest), source.read_blob(version.descriptor))
    unnoticed = []
    for artifact in version.artifacts:
        data = source.read_blob(artifact.descriptor)
        if not registry.put_manifest(str(artifact.descriptor.digest), data):
            unnoticed.append(artifact.descriptor)
    if unnoticed:
        registry.add_referrers(version.manifest_digest, unnoticed)
    registry.put_manifest(target.wanted, source.read_blob(version.descriptor))


class Progress:
    """Adds up what several threads tell, and passes it on."""

    def __init__(self, phase: str, total: int, observer: Observer) -> None:
        self._phase = phase
        self._total = total
        self._done = 0
        self._observer = observer
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """So many bytes more; fewer when negative."""
        with self._lock:
            self._done += count
            self._observer(
                Event(
                    kind=EventKind.PROGRESS, phase=self._phase, done=self._done, total=self._total
                )
            )


def in_parallel(work: Callable[[Descriptor], str], blobs: Sequence[Descriptor]) -> list[str]:
    """The answers in order; the first failure ends it, what runs is waited for."""
    with ThreadPoolExecutor(WORKERS) as pool:
        running = [pool.submit(work, blob) for blob in blobs]
        try:
            return [each.result() for each in running]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
