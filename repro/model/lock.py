"""The lock: every package in the image by name, version and purl."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from typing import Any

from repro.model.oci import LOCK_SCHEMA
from repro.primitives.frozen import frozen


class Grade(Enum):
    """How exactly a piece is pinned (reach.md section 4)."""

    URL_AND_HASH = "url+hash"
    HASH_ONLY = "hash only"
    NAME_ONLY = "name only"


@frozen
class LockedPackage:
    """One package: ``purl`` per the package-url specification; url and hash where known."""

    source: str
    name: str
    version: str
    purl: str
    grade: Grade
    url: str | None = None
    hash: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON form, absent fields left out."""
        found: dict[str, Any] = {
            "source": self.source,
            "name": self.name,
            "version": self.version,
            "purl": self.purl,
            "grade": self.grade.value,
        }
        if self.url is not None:
            found["url"] = self.url
        if self.hash is not None:
            found["hash"] = self.hash
        return found


@frozen
class Lock:
    """All locked packages, sorted by source, name, version, purl.

    ``skipped`` maps a package source's name to the reason why it had nothing to say, or
    ``NAME (in part)`` to what its pins lack.
    """

    packages: tuple[LockedPackage, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The document ``repro.lock/1``."""
        return {
            "schema": LOCK_SCHEMA,
            "packages": [package.to_json() for package in self.packages],
            "skipped": dict(self.skipped),
        }
