"""A file that a project takes from elsewhere: where from, what it must be, where it goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from repro.errors import ArchiveError
from repro.model.oci import mapping, sequence, text, whole
from repro.primitives.digest import Digest
from repro.primitives.frozen import frozen

DEFAULT_MOST = 10_000_000_000
"""Bytes that a remote input may have when nothing else is declared."""


@frozen
class RemoteInput:
    """``url`` is http, https or file; ``path`` relative to the project; ``most`` bytes at most."""

    url: str
    digest: Digest
    path: str
    most: int = DEFAULT_MOST


@frozen
class RemoteSource:
    """A remote input that took part in a run: its bytes had this digest and size.

    ``placed``: it was put there for the run; else it lay in the project before.
    """

    url: str
    digest: Digest
    path: str
    size: int
    placed: bool = True

    def to_json(self) -> dict[str, Any]:
        """The form inside the circumstances."""
        return {
            "path": self.path,
            "url": self.url,
            "sha256": self.digest.hex,
            "size": self.size,
            "placed": self.placed,
        }

    @classmethod
    def recorded(cls, circumstances: Mapping[str, Any]) -> Iterator[RemoteSource]:
        """Those in the circumstances of an archive. Raises ArchiveError when they are malformed."""
        for item in sequence(circumstances.get("remote_inputs", []), "remote_inputs"):
            fields = mapping(item, "remote_inputs[]")
            path = text(fields.get("path"), "remote_inputs path")
            if path.startswith("/") or ".." in path.split("/"):
                raise ArchiveError(f"remote_inputs: {path[:80]!r} leaves the project")
            yield cls(
                url=text(fields.get("url"), "remote_inputs url"),
                digest=Digest.parse("sha256:" + text(fields.get("sha256"), "remote_inputs sha256")),
                path=path,
                size=whole(fields.get("size"), "remote_inputs size"),
                placed=fields.get("placed", True) is not False,
            )
