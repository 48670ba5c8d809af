"""Whether the files of a package are what its publisher published."""

from __future__ import annotations

from enum import Enum
from typing import Any

from repro.primitives.frozen import frozen


class Origin(Enum):
    """What could be shown of one package, by its files in an image.

    ``RECORDED`` is weaker than ``PUBLISHED``: they are as the list inside the image says,
    and whoever changed a file could have changed that list.
    """

    PUBLISHED = "as published"
    RECORDED = "as recorded in the image"
    LOCAL = "made locally"
    DIFFERS = "differs"
    ABSENT = "not in the registry"
    UNCHECKED = "not checked"


@frozen
class FileNote:
    """One file of a package and what is to be said of it."""

    path: str
    why: str

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {"path": self.path, "why": self.why}


@frozen
class PackageOrigin:
    """The finding for one locked package.

    ``against`` names what it was compared with (a file of the index and its sha256).
    ``equal`` counts files that are as published, ``absent`` published files that the image
    does not hold. ``local`` are files that no publisher made; ``differs`` is never empty
    for DIFFERS. ``remote`` marks a package that is unchecked because of the network, or
    because what the registry served cannot be used.
    """

    source: str
    name: str
    version: str
    origin: Origin
    why: str | None = None
    against: str | None = None
    equal: int = 0
    absent: int = 0
    local: tuple[FileNote, ...] = ()
    differs: tuple[FileNote, ...] = ()
    remote: bool = False

    def to_json(self) -> dict[str, Any]:
        """The JSON form inside ``repro.provenance/1``."""
        return {
            "source": self.source,
            "name": self.name,
            "version": self.version,
            "origin": self.origin.value,
            "why": self.why,
            "against": self.against,
            "equal": self.equal,
            "not_packed": self.absent,
            "local": [note.to_json() for note in self.local],
            "differs": [note.to_json() for note in self.differs],
        }
