"""One large blob on its way to a registry, piece by piece (distribution-spec, "Pushing a blob in
chunks"); after a failure, or in another process, from where the registry says it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import BinaryIO
from urllib.parse import urlsplit, urlunsplit

from repro.errors import RemoteError
from repro.model.oci import Descriptor
from repro.remote.notes import Note, Notes
from repro.remote.registry import Progress, Registry
from repro.remote.services import NO_REGISTRY, largest_piece
from repro.remote.session import Answer

PIECE = 16 << 20
"""Bytes of one PATCH: above the least that registries ask for (5 MB), small enough to repeat."""
_TRIES = 5
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")
_LARGEST = 128 << 20
"""No piece is larger, whatever the registry asks for: it is held in memory."""
_SMALLEST = 1 << 20
_TOO_LARGE = ("http-413", "http-416")
_GONE = ("http-404", "http-405", "http-400", "http-416")
"""What servers say of an upload that they have forgotten or threw away."""
_AGAIN = (*_GONE, "http-413")

Open = Callable[[], BinaryIO]


def begin(registry: Registry) -> tuple[str, int]:
    """A new upload: its address, and the least bytes of a piece that the registry takes."""
    answer = registry.session.request(
        "POST", registry.uploads_address(), scopes=registry.push_scope,
        headers={"Content-Length": "0"}, expect=(202,),
    )  # fmt: skip
    least = answer.header("OCI-Chunk-Min-Length") or "0"
    known = re.fullmatch("[0-9]{1,18}", least) is not None and int(least) <= _LARGEST
    return location_of(registry, answer), int(least) if known else 0


def location_of(registry: Registry, answer: Answer) -> str:
    """The next address of an upload, whole. Raises RemoteError when there is none."""
    value = answer.header("Location")
    if not value:
        raise RemoteError(f"{registry.name} did not say where to send the blob", hint=NO_REGISTRY)
    return registry.session.absolute(value)


def finish(
    registry: Registry, descriptor: Descriptor, where: str, data: bytes, at: int = 0
) -> None:
    """Close an upload with its last bytes, which begin at ``at``; the registry checks the digest.

    Raises RemoteError.
    """
    parts = urlsplit(where)
    query = f"{parts.query}&" if parts.query else ""
    address = urlunsplit(parts._replace(query=f"{query}digest={descriptor.digest}"))
    registry.session.request(
        "PUT", address, scopes=registry.push_scope,
        headers=_piece_headers(at, data, whole=not at), body=lambda: data, expect=(201, 204), retry=False,
    )  # fmt: skip


def _piece_headers(at: int, data: bytes, *, whole: bool = False) -> dict[str, str]:
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(len(data))}
    if data and not whole:
        headers["Content-Range"] = f"{at}-{at + len(data) - 1}"
    return headers


def send_pieces(
    registry: Registry,
    descriptor: Descriptor,
    stream: BinaryIO,
    location: str | None,
    progress: Progress,
    notes: Notes,
) -> None:
    """Send a blob; ``location`` is an upload that was begun already. Raises RemoteError."""
    with notes.claim(registry.session.server, registry.repository, str(descriptor.digest)) as note:
        upload = _Upload(registry, descriptor, stream, note, progress)
        upload.resume(location)
        upload.send()
        notes.add(upload.resumed)
        note.remove()


class _Upload:
    def __init__(
        self, registry: Registry, descriptor: Descriptor, stream: BinaryIO, note: Note,
        progress: Progress,
    ) -> None:  # fmt: skip
        self._registry = registry
        self._descriptor = descriptor
        self._stream = stream
        self._note = note
        self._progress = progress
        self._location = ""
        self._piece = min(PIECE, largest_piece(registry.session.server))
        self._least = 0
        self._at = 0
        self.resumed = 0
        """Bytes of this upload that another process had sent."""

    def resume(self, location: str | None) -> None:
        """Go on with the upload of the note, else with ``location``, else with a new one."""
        known = self._note.read()
        if known is not None:
            self._location = known
            self._look(otherwise=location)
        elif location is not None:
            self._location = location
        else:
            self._location, self._least = begin(self._registry)
        self.resumed = self._at

    def _look(self, otherwise: str | None) -> None:
        """Ask at the address of the note, which may have run out, or be of another time."""
        try:
            self._ask(otherwise)
        except RemoteError as error:
            if error.temporary:
                raise
            self._location = otherwise or ""
            if not otherwise:
                self._location, self._least = begin(self._registry)

    def restart(self) -> None:
        """Begin anew, whatever was sent."""
        self._move(0)
        self._location, self._least = begin(self._registry)

    def send(self) -> None:
        """All that is left; the last piece closes the upload."""
        failures, furthest = 0, self._at
        while True:
            try:
                if self._put_or_patch():
                    return
            except RemoteError as error:
                failures += 1
                if failures == _TRIES or not (error.temporary or error.slug in _AGAIN):
                    raise
                self._recover(error, failures)
            # Only what no try reached before: a registry that forgets each upload after its
            # first piece takes that piece again and again.
            if self._at > furthest:
                failures, furthest = 0, self._at

    def _recover(self, error: RemoteError, failures: int) -> None:
        if error.temporary:
            self._registry.session.pause(failures, error)
        if error.slug in _TOO_LARGE and self._piece > _SMALLEST:
            self._piece = max(self._piece // 4, _SMALLEST)
        if failures > 1 and error.slug in _GONE:
            self.restart()  # what the registry says of the upload does not hold
        else:
            self._ask()

    def _put_or_patch(self) -> bool:
        """Send one piece; whether it was the last and the registry has the blob."""
        size = max(self._piece, self._least)
        self._stream.seek(self._at)
        data = self._stream.read(min(size, self._descriptor.size - self._at))
        end = self._at + len(data)
        if end < self._descriptor.size:
            if not data:
                short = self._descriptor.digest.short
                raise RemoteError(f"blob {short} ended early while it was sent")
            self._patch(data, end)
            return False
        try:
            finish(self._registry, self._descriptor, self._location, data, self._at)
        except RemoteError as error:
            # The answer may have been lost on its way, not the blob.
            if not error.temporary or not self._registry.has_blob(self._descriptor):
                raise
        self._move(end)
        return True

    def _patch(self, data: bytes, end: int) -> None:
        answer = self._registry.session.request(
            "PATCH", self._location, scopes=self._registry.push_scope,
            headers=_piece_headers(self._at, data), body=lambda: data, retry=False,
            expect=(202, 201),  # ECR says 201 (aws/containers-roadmap#2831)
        )  # fmt: skip
        self._location = location_of(self._registry, answer)
        self._note.write(self._location)
        # A registry may keep less than it was sent; one that says less than it had before
        # (ECR) or "0-0" (see _ask) says nothing.
        reached = _reached(answer)
        self._move(reached if self._at < reached < end else end)

    def _ask(self, otherwise: str | None = None) -> None:
        """Learn where the upload is; a new one (``otherwise``, if given) when it is gone."""
        try:
            answer = self._registry.session.request(
                "GET", self._location, scopes=self._registry.push_scope, expect=(204, 202)
            )
        except RemoteError as error:
            if error.slug not in _GONE:
                raise
            reached = 0
        else:
            reached = _reached(answer)
        # "0-0" is what docker-registry says of an empty session and of one byte: begin anew.
        if reached <= 1 or reached > self._descriptor.size:
            reached = 0
            self._location = otherwise or ""
            if not otherwise:
                self._location, self._least = begin(self._registry)
        elif answer.header("Location"):
            self._location = location_of(self._registry, answer)
        self._move(reached)

    def _move(self, at: int) -> None:
        self._progress(at - self._at)
        self._at = at
        self.resumed = min(self.resumed, at)


def _reached(answer: Answer) -> int:
    """How many bytes the registry says it has."""
    match = _RANGE.fullmatch(answer.header("Range") or "")
    return int(match.group(1)) + 1 if match else 0
