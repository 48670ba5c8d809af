"""One file as it goes into an image, and the layer it belongs to."""

from __future__ import annotations

from enum import Enum

from repro.primitives.frozen import frozen


class LayerKind(Enum):
    """Layers by how often they change, lowest first (archive.md, decision 5)."""

    BASE = "base"
    SYSTEM = "system"
    RUNTIME = "runtime"
    PACKAGES = "packages"
    DATA = "data"
    CODE = "code"


class EntryType(Enum):
    """What a file of an image is; nothing else is ever packed."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"


@frozen
class FileEntry:
    """One entry of an image.

    ``path`` is absolute inside the image, normalised, without a trailing slash.
    ``source`` is the host file whose bytes it holds; ``content`` replaces it for files
    that repro writes itself. ``target`` is a symlink's text. ``mode`` is 0o755 or 0o644.
    ``origin`` says where it comes from: ``deb:libc6``, ``pypi:numpy``, ``project``,
    ``unowned``, ``repro``. ``group`` names the package for packages that may get a layer
    of their own. ``link_key`` is equal for hard links to one file.
    """

    path: str
    type: EntryType
    kind: LayerKind
    origin: str
    source: str | None = None
    content: bytes | None = None
    target: str | None = None
    mode: int = 0o644
    size: int = 0
    group: str | None = None
    link_key: tuple[int, int] | None = None
