"""The lock: every package in the image by name, version and purl."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from repro.errors import ArchiveError
from repro.model.oci import LOCK_SCHEMA, mapping, sequence, text, texts
from repro.primitives.frozen import field, frozen


class Grade(Enum):
    """How exactly a piece is pinned (reach.md section 4)."""

    URL_AND_HASH = "url+hash"
    HASH_ONLY = "hash only"
    NAME_ONLY = "name only"


@frozen
class LockedPackage:
    """One package: ``purl`` per the package-url specification; url and hash where known.

    ``hash`` is ``ALGORITHM:HEX`` of what lies at ``url``: sha256, sha512, md5, or git-sha1 (a
    commit). ``record-sha256`` is the hash of an installed RECORD, not of an archive.
    ``facts`` are further truths that the source read, each with the name that its own
    format gives it (a wheel's tags, a conda build, a list's date); ``said-by`` names the
    file that url and hash were read from.
    """

    source: str
    name: str
    version: str
    purl: str
    grade: Grade
    url: str | None = None
    hash: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

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
        if self.facts:
            found["facts"] = dict(self.facts)
        return found

    @classmethod
    def parse(cls, value: object) -> LockedPackage:
        """Read the JSON form. Raises ArchiveError."""
        fields = mapping(value, "lock.packages[]")
        url, digest = fields.get("url"), fields.get("hash")
        try:
            grade = Grade(fields.get("grade"))
        except ValueError:
            raise ArchiveError(
                "lock: a package has an unknown grade", slug="archive-json"
            ) from None
        return cls(
            source=text(fields.get("source"), "lock package source"),
            name=text(fields.get("name"), "lock package name"),
            version=text(fields.get("version"), "lock package version"),
            purl=text(fields.get("purl"), "lock package purl"),
            grade=grade,
            url=None if url is None else text(url, "lock package url"),
            hash=None if digest is None else text(digest, "lock package hash"),
            facts=texts(fields.get("facts", {}), "lock package facts"),
        )


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

    @classmethod
    def parse(cls, value: object) -> Lock:
        """Read ``repro.lock/1`` (the schema is the reader's affair). Raises ArchiveError."""
        fields = mapping(value, "lock")
        return cls(
            packages=tuple(
                LockedPackage.parse(item)
                for item in sequence(fields.get("packages", []), "lock.packages")
            ),
            skipped=texts(fields.get("skipped", {}), "lock.skipped"),
        )
