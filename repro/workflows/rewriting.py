"""An archive written again with other entries: the versions in it stay what they are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from repro.errors import ArchiveError
from repro.primitives.events import Event, EventKind, Observer, silent
from repro.primitives.frozen import frozen, replace
from repro.store.archive import Archive
from repro.store.blobs import Blobs, BlobSource
from repro.store.catalog import VersionInfo
from repro.store.turn import turn
from repro.store.versions import Version
from repro.store.writer import archive_size, manifest_digests, write_archive
from repro.workflows.sealing import readme_text

Change = Callable[[Archive], Sequence[VersionInfo]]
"""From an open archive to the entries it is to have, in their order; may raise UsageError."""


@frozen
class Rewritten:
    """Sizes of the file in bytes, and the tag that ARCHIVE alone means now."""

    before: int
    after: int
    default: str


def rewrite(path: Path, change: Change, clamp: int, observer: Observer = silent) -> Rewritten:
    """Give an archive the entries that ``change`` asks for, in one step.

    Images, recordings and their digests stay as they are; blobs that nothing refers to
    any more are gone. Another process waits. Raises what ``change`` raises, ArchiveError,
    StorageError; the old file is untouched then.
    """
    with turn(path, observer) as place, Archive.open(place) as archive:
        before = place.stat().st_size
        entries = list(change(archive))
        if entries != list(archive.versions):
            _write(place, archive, entries, clamp, observer)
        return Rewritten(before=before, after=place.stat().st_size, default=entries[-1].tag)


def carried(versions: Sequence[VersionInfo]) -> list[Version]:
    """Versions of an archive for the writer.

    Raises ArchiveError when their manifests would become others: somebody may have
    signed or cited the digests.
    """
    found = []
    for each in versions:
        version = each.as_version()
        own = [each.descriptor, *(artifact.descriptor for artifact in each.artifacts)]
        if manifest_digests(version) != [descriptor.digest for descriptor in own]:
            raise ArchiveError(
                f"the version {each.tag} has a manifest that this repro would write otherwise",
                hint="write to another file, or use the repro that made it",
                slug="archive-schema",
            )
        found.append(version)
    return found


def size_with(path: Path, archive: Archive, entries: Sequence[VersionInfo]) -> int:
    """The bytes that ``rewrite`` to these entries would write; nothing is changed."""
    name, readme = _texts(archive, entries[-1])
    return archive_size(
        path.parent, name=name, versions=carried(entries), blobs=archive, readme=readme
    )


def _texts(archive: Archive, default: VersionInfo) -> tuple[str, str]:
    """Name and README of an archive with this default version."""
    claims = archive.recording(default).claims
    readme = archive.readme
    if default.config_digest != archive.version(None).config_digest:
        readme = readme_text(claims.name, default.config_digest, claims)
    return claims.name, readme


def _write(
    place: Path,
    archive: Archive,
    entries: Sequence[VersionInfo],
    clamp: int,
    observer: Observer,
) -> None:
    name, readme = _texts(archive, entries[-1])
    write_archive(
        place,
        name=name,
        versions=carried(entries),
        blobs=archive,
        readme=readme,
        clamp=clamp,
        observer=observer,
    )


def add_version(
    path: Path,
    version: Version,
    *,
    name: str,
    blobs: BlobSource,
    readme: str,
    clamp: int,
    replace_all: bool,
    observer: Observer = silent,
) -> str:
    """Write a version into an archive, beside those that it holds unless ``replace_all``; its tag.

    Another process waits. When one took the tag since the caller looked, the version gets
    the next free one (``v2-2``), and that is said: neither is lost.
    """
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(turn(path, observer))
        kept: list[Version] = []
        if not replace_all and place.is_file():
            old = stack.enter_context(Archive.open(place))
            kept = carried(old.versions)
            blobs = Blobs(others=[blobs, old])
        tag = _free(version.tag, {each.tag for each in kept})
        if tag != version.tag:
            text = f"the tag {version.tag} was taken meanwhile by another process: written as {tag}"
            observer(Event(kind=EventKind.WARNING, phase="write", text=text, code="tag-taken"))
        write_archive(
            place,
            name=name,
            versions=[*kept, replace(version, tag=tag)],
            blobs=blobs,
            readme=readme,
            clamp=clamp,
            observer=observer,
        )
        return tag


def _free(tag: str, taken: set[str]) -> str:
    number, found = 1, tag
    while found in taken:
        number += 1
        found = f"{tag[:120]}-{number}"
    return found
