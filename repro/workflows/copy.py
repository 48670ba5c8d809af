"""``repro copy``: a version from one registry to another, blobs passed on one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from repro.model.oci import Descriptor
from repro.primitives.aside import in_threads
from repro.primitives.events import Observer, Tally, done, silent
from repro.primitives.texts import human_size, printable
from repro.remote.reference import Reference
from repro.remote.transfer import pull_blob, push_blob
from repro.workflows.places import cache_root, scratch
from repro.workflows.pull import find_version, no_room_is_remote
from repro.workflows.push import Pushed, blobs_of, put_manifests, upload_notes
from repro.workflows.registries import WORKERS, open_registry


def copy(
    source: Reference,
    target: Reference,
    environ: Mapping[str, str],
    *,
    insecure: bool = False,
    observer: Observer = silent,
) -> Pushed:
    """Copy a version with all that belongs to it; the tag is set last.

    On one server blobs are mounted where it allows that; else each is fetched, checked and
    sent. ``target`` without a tag gets the source's. Raises RemoteError, ArchiveError.
    """
    old = open_registry(source, environ, insecure)
    version = find_version(old, source)
    target = replace(target, tag=target.tag or source.tag or "latest")
    new = open_registry(target, environ, insecure)
    mounts = (source.repository,) if source.server == target.server else ()
    blobs = blobs_of(version)
    told = Tally("copy", sum(each.size for each in blobs), observer)
    notes = upload_notes(environ)
    with (
        no_room_is_remote(source),
        scratch(cache_root(environ) / "runs", "copy") as folder,
    ):

        def one(descriptor: Descriptor) -> str:
            if not mounts and new.has_blob(descriptor):
                told.add(descriptor.size)
                return "there"
            place = folder / descriptor.digest.hex
            try:
                return push_blob(
                    new, descriptor, lambda: pull_blob(old, descriptor, folder).open("rb"),
                    mounts=mounts, progress=told.add, notes=notes,
                )  # fmt: skip
            finally:
                place.unlink(missing_ok=True)

        how = in_threads([partial(one, blob) for blob in blobs], WORKERS)
    put_manifests(version, lambda each: old.manifest(str(each.digest))[0], new, target.wanted)
    size = sum(blob.size for blob, way in zip(blobs, how, strict=True) if way == "sent")
    size -= notes.resumed
    observer(done("copy", f"{printable(str(target))} · {human_size(size)} sent"))
    return Pushed(
        reference=target, digest=version.config_digest, manifest=version.manifest_digest,
        sent=how.count("sent"), there=how.count("there"), mounted=how.count("mounted"), bytes=size,
        resumed=notes.resumed,
    )  # fmt: skip
