"""Content digests as a type (OCI image-spec, descriptor.md, "Digests")."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import total_ordering
from typing import TYPE_CHECKING, BinaryIO

from repro.errors import ArchiveError

if TYPE_CHECKING:
    from pathlib import Path

_PATTERN = re.compile(r"sha256:[0-9a-f]{64}")
_CHUNK = 1 << 20


@total_ordering
class Digest:
    """A sha256 content digest; its text form is ``sha256:<64 lower-case hex>``.

    Compared and ordered by its digits, which nobody can change.
    """

    __slots__ = ("_hex",)

    def __init__(self, hex: str) -> None:
        self._hex = hex

    @property
    def hex(self) -> str:
        """The 64 digits."""
        return self._hex

    def __eq__(self, other: object) -> bool:
        return self._hex == other._hex if isinstance(other, Digest) else NotImplemented

    def __lt__(self, other: Digest) -> bool:
        return self._hex < other._hex if isinstance(other, Digest) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._hex)

    def __repr__(self) -> str:
        return f"Digest({self._hex!r})"

    @classmethod
    def parse(cls, text: object, what: str = "") -> Digest:
        """Read the text form; ``what`` says whose it is in errors.

        Raises ArchiveError for anything but a full sha256.
        """
        if not isinstance(text, str) or not _PATTERN.fullmatch(text):
            whose = f"{what}: " if what else ""
            # Anything may stand here: what is no text is only named by its type.
            shown = repr(text[:60]) if isinstance(text, str) else f"a {type(text).__name__}"
            raise ArchiveError(f"{whose}not a sha256 digest: {shown}", slug="archive-digest")
        return cls(text[7:])

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """The digest of these bytes."""
        return cls(hashlib.sha256(data).hexdigest())

    @classmethod
    def of_stream(cls, chunks: Iterable[bytes]) -> Digest:
        """The digest of these chunks in order."""
        running = hashlib.sha256()
        for chunk in chunks:
            running.update(chunk)
        return cls(running.hexdigest())

    @classmethod
    def of_file(cls, stream: BinaryIO) -> Digest:
        """The digest of what is left to read in ``stream``."""
        return cls.of_stream(iter(lambda: stream.read(_CHUNK), b""))

    @classmethod
    def of_path(cls, path: str | Path) -> Digest:
        """The digest of a whole file. Raises OSError."""
        with open(path, "rb") as stream:
            return cls.of_file(stream)

    @property
    def short(self) -> str:
        """The first twelve hex digits, for people; never for look-ups."""
        return self.hex[:12]

    def __str__(self) -> str:
        return f"sha256:{self.hex}"
