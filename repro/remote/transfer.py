"""Blobs to and from a registry: skipped, mounted, sent in pieces, fetched with resume."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import requests

from repro.errors import AccessError, RemoteError, StorageError
from repro.model.oci import Descriptor
from repro.primitives.digest import Digest
from repro.primitives.texts import printable
from repro.remote import upload
from repro.remote.notes import Notes
from repro.remote.registry import Progress, Registry
from repro.remote.session import pieces_of
from repro.remote.upload import Open, begin, finish, location_of, send_pieces

_READ = 1 << 20
_PACKET = 1 << 17  # so much may be lost when a connection breaks
_TRIES = 5
_LIES = "the registry or the way to it is damaged or lies: nothing wrong was kept; try again later"


def push_blob(
    registry: Registry,
    descriptor: Descriptor,
    source: Open,
    *,
    mounts: Sequence[str] = (),
    progress: Progress = lambda count: None,
    notes: Notes | None = None,
) -> str:
    """Bring a blob to the registry; ``"there"``, ``"mounted"`` or ``"sent"``.

    ``mounts`` are repositories of the same server that may have it. ``source`` opens a
    seekable stream. ``progress`` is told of bytes as they arrive, also negative numbers
    when some were lost. ``notes`` remember how far a large one got. Raises RemoteError.
    """
    if registry.has_blob(descriptor):
        progress(descriptor.size)
        return "there"
    location = None
    for other in mounts:
        scopes = (*registry.push_scope, f"repository:{other}:pull")
        try:
            answer = registry.session.request(
                "POST", registry.uploads_address(descriptor.digest, other), scopes=scopes,
                headers={"Content-Length": "0"}, expect=(201, 202),
            )  # fmt: skip
        except AccessError:
            continue  # no right to read there (GitLab refuses the token): it is sent instead
        if answer.status == 201:
            progress(descriptor.size)
            return "mounted"
        location = location_of(registry, answer)
    with source() as stream:
        if descriptor.size <= upload.PIECE:
            _send_whole(registry, descriptor, stream, location)
            progress(descriptor.size)
        else:
            send_pieces(registry, descriptor, stream, location, progress, notes or Notes(None))
    return "sent"


def _send_whole(
    registry: Registry, descriptor: Descriptor, stream: BinaryIO, location: str | None
) -> None:
    data = stream.read(descriptor.size)
    for number in range(1, _TRIES + 1):
        where = location or begin(registry)[0]
        location = None
        try:
            finish(registry, descriptor, where, data)
            return
        except RemoteError as error:
            # The session may be gone (404) or half-filled: begin anew.
            if number == _TRIES or not (error.temporary or error.slug == "http-404"):
                raise
            registry.session.pause(number, error)


def pull_blob(
    registry: Registry,
    descriptor: Descriptor,
    folder: Path,
    *,
    progress: Progress = lambda count: None,
) -> Path:
    """Fetch a blob into ``folder/<hex>``, verified; the path.

    A part that an earlier try left (``<hex>.part``) is continued by a Range request; a whole
    blob that it left is hashed again, since nothing here waits for the disk. The name
    without ``.part`` is given only to bytes of the right digest. Raises RemoteError
    (slug ``remote-digest`` for wrong bytes, which are removed), StorageError.
    """
    place = folder / descriptor.digest.hex
    part = folder / f"{descriptor.digest.hex}.part"
    try:
        if place.is_file():
            os.replace(place, part)
        for number in range(1, _TRIES + 1):
            told = _Told(progress)
            try:
                _fetch(registry, descriptor, part, told.take)
                break
            except RemoteError as error:
                told.undo()
                if number == _TRIES or not error.temporary:
                    raise
                registry.session.pause(number, error)
        os.replace(part, place)
    except OSError as error:
        raise StorageError(
            f"{printable(str(part.parent), 80)}: {error.strerror}",
            hint="free some space, or set REPRO_CACHE to another disk",
        ) from None
    return place


class _Told:
    """Progress that can be taken back: the next try counts what is there anew."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._count = 0

    def take(self, count: int) -> None:
        self._count += count
        self._progress(count)

    def undo(self) -> None:
        self._progress(-self._count)


def _fetch(registry: Registry, descriptor: Descriptor, part: Path, progress: Progress) -> None:
    found, kept = _filled(registry, descriptor, part, progress)
    if found != descriptor.digest and kept:
        # A machine that lost its power may have kept other bytes than were written.
        part.unlink()
        progress(-descriptor.size)
        found, _ = _filled(registry, descriptor, part, progress)
    if found != descriptor.digest:
        part.unlink(missing_ok=True)
        raise RemoteError(
            f"{registry.name} sent other bytes than blob {descriptor.digest.short}",
            details=[f"expected {descriptor.digest}, found {found}"],
            hint=_LIES,
            slug="remote-digest",
        )


def _filled(
    registry: Registry, descriptor: Descriptor, part: Path, progress: Progress
) -> tuple[Digest, int]:
    """``part`` with all of a blob's bytes: their digest, and how many an earlier try left."""
    running = hashlib.sha256()
    with part.open("a+b") as stream:
        stream.seek(0)
        kept = 0
        while kept < descriptor.size and (data := stream.read(min(_READ, descriptor.size - kept))):
            running.update(data)
            kept += len(data)
        stream.truncate(kept)
        progress(kept)
        if kept < descriptor.size:
            _receive(registry, descriptor, stream, running, kept, progress)
    return Digest(running.hexdigest()), kept


def _receive(
    registry: Registry,
    descriptor: Descriptor,
    stream: BinaryIO,
    running: hashlib._Hash,
    have: int,
    progress: Progress,
) -> int:
    """The rest of a blob behind the ``have`` bytes that are there; how many there are then."""
    headers = {"Range": f"bytes={have}-"} if have else {}
    answer = registry.session.open(
        "GET", registry.blob_address(descriptor.digest), scopes=registry.pull_scope,
        headers=headers, expect=(200, 206),
    )  # fmt: skip
    skip = have if answer.status_code == 200 else 0  # a server without ranges sends all
    if answer.status_code == 206 and not _begins_at(answer, have):
        answer.close()
        raise RemoteError(f"{registry.name} sent another range than was asked for", hint=_LIES)
    try:
        for data in pieces_of(answer, _PACKET):
            if skip:
                cut = min(skip, len(data))
                data, skip = data[cut:], skip - cut
            if have + len(data) > descriptor.size:
                raise RemoteError(
                    f"{registry.name} sends more than the {descriptor.size} bytes of blob "
                    f"{descriptor.digest.short}",
                    hint=_LIES,
                    slug="remote-digest",
                )
            stream.write(data)
            running.update(data)
            have += len(data)
            progress(len(data))
    except requests.RequestException as error:
        raise _cut(registry, descriptor, have, error) from None
    finally:
        answer.close()
    if have < descriptor.size:
        raise _cut(registry, descriptor, have, None)
    return have


def _begins_at(answer: requests.Response, have: int) -> bool:
    text: str = answer.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d+)-\d+/(?:\d+|\*)", text)
    return match is not None and int(match.group(1)) == have


def _cut(
    registry: Registry, descriptor: Descriptor, have: int, error: Exception | None
) -> RemoteError:
    why = f": {type(error).__name__}" if error is not None else ""
    found = RemoteError(
        f"{registry.name} broke off after {have} of {descriptor.size} bytes of blob "
        f"{descriptor.digest.short}{why}",
        hint="try again: what has arrived is kept and continued",
        slug="cut-off",
    )
    found.temporary = True
    return found
