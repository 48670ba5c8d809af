"""``repro push``: a version of an archive to a registry; its tag moves when all has arrived."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from repro.model.oci import MANIFEST, Descriptor
from repro.primitives.aside import in_threads
from repro.primitives.digest import Digest
from repro.primitives.events import Observer, Tally, done, silent
from repro.primitives.frozen import frozen, replace
from repro.primitives.texts import human_size, printable
from repro.remote.notes import Notes
from repro.remote.reference import Reference
from repro.remote.registry import Registry
from repro.remote.transfer import push_blob
from repro.store.archive import Archive, VersionInfo
from repro.store.blobs import open_place
from repro.store.catalog import references
from repro.workflows.places import cache_root
from repro.workflows.registries import WORKERS, open_registry


@frozen
class Pushed:
    """What a push did. ``sent``, ``there`` and ``mounted`` count blobs.

    ``bytes`` were sent; ``resumed`` more had come with an earlier push that was cut off.
    """

    reference: Reference
    digest: Digest
    manifest: Digest
    sent: int
    there: int
    mounted: int
    bytes: int
    resumed: int

    def to_json(self) -> dict[str, object]:
        """The document ``repro.push/1``."""
        return {
            "schema": "repro.push/1",
            "reference": str(self.reference),
            "archive": {"digest": str(self.digest), "manifest": str(self.manifest)},
            "blobs": {"sent": self.sent, "there": self.there, "mounted": self.mounted},
            "bytes": self.bytes,
            "resumed": self.resumed,
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
        blobs = blobs_of(version)
        told = Tally("push", sum(each.size for each in blobs), observer)
        notes = upload_notes(environ)

        def one(descriptor: Descriptor) -> str:
            return push_blob(
                registry, descriptor, lambda: _opened(source, descriptor), mounts=mounts,
                progress=told.add, notes=notes,
            )  # fmt: skip

        how = in_threads([partial(one, blob) for blob in blobs], WORKERS)
        put_manifests(version, source.read_blob, registry, target.wanted)
        sent = [blob for blob, way in zip(blobs, how, strict=True) if way == "sent"]
        size = sum(blob.size for blob in sent) - notes.resumed
        text = f"{printable(str(target))} · {len(sent)} of {len(blobs)} blobs, {human_size(size)}"
        observer(done("push", text, time.monotonic() - started))
        return Pushed(
            reference=target, digest=version.config_digest, manifest=version.manifest_digest,
            sent=len(sent), there=how.count("there"), mounted=how.count("mounted"), bytes=size,
            resumed=notes.resumed,
        )  # fmt: skip


def upload_notes(environ: Mapping[str, str]) -> Notes:
    """What this user's cache knows of uploads that were cut off."""
    return Notes(cache_root(environ) / "uploads")


def _opened(source: Archive, descriptor: Descriptor) -> BinaryIO:
    place = source.locate(descriptor.digest)
    assert place is not None, "the archive was verified"
    return open_place(place)


def blobs_of(version: VersionInfo) -> list[Descriptor]:
    """Everything of a version but manifests, each once, the largest first."""
    found = {each.digest: each for _, each in references(version) if each.media_type != MANIFEST}
    return sorted(found.values(), key=lambda each: (-each.size, each.digest))


def put_manifests(
    version: VersionInfo, read: Callable[[Descriptor], bytes], registry: Registry, tag: str
) -> None:
    """Image and artifacts by digest, the tag last. ``read`` gives a manifest's exact bytes."""
    image = read(version.descriptor)
    registry.put_manifest(str(version.manifest_digest), image)
    unnoticed = []
    for artifact in version.artifacts:
        digest = str(artifact.descriptor.digest)
        if not registry.put_manifest(digest, read(artifact.descriptor)):
            unnoticed.append(artifact.descriptor)
    if unnoticed:
        registry.add_referrers(version.manifest_digest, unnoticed)
    registry.put_manifest(tag, image)
