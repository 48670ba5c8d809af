"""What a package list says of package files."""

from __future__ import annotations

from collections.abc import Mapping

from repro.primitives.frozen import frozen

Key = tuple[str, str, str]
"""Name, version, architecture."""


@frozen
class ListedArchive:
    """One package file as a list names it; ``facts`` as a LockedPackage has them."""

    sha256: str
    url: str | None
    facts: Mapping[str, str]


@frozen
class PackageLists:
    """What the lists say of some packages, and which lists could not be read, with why."""

    archives: Mapping[Key, ListedArchive]
    count: int
    unread: Mapping[str, str]
