"""What lies at one path of an image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from repro.primitives.frozen import frozen


@frozen
class PackedFile:
    """A file, folder or symlink of an image; ``layer`` is the kind of the layer that shows it.

    Hashes are hexadecimal and of files only; ``md5`` and ``content`` only where asked for.
    """

    kind: str
    layer: str
    size: int = 0
    sha256: str | None = None
    md5: str | None = None
    target: str | None = None
    content: bytes | None = None


class PackedFiles(Protocol):
    """The merged view of an image's layers (implemented by image.listing.ImageListing)."""

    def get(self, path: str) -> PackedFile | None:
        """What lies at an absolute path whose folders are no links."""
        ...

    def real(self, path: str) -> str:
        """The path with the links of its folders resolved, the leaf as it is."""
        ...

    def items(self) -> Iterator[tuple[str, PackedFile]]:
        """Every path that is no folder, with what lies there."""
        ...
