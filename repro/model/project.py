"""A project as the author declares it, and one file as it goes into an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of the analysis.

    ``argv`` is executed as it is (no shell); ``cwd`` is relative to the project root.
    ``notebook`` names the notebook a step executes, relative to the project root.
    ``timeout`` is in seconds.
    """

    name: str
    argv: tuple[str, ...]
    cwd: str = "."
    notebook: str | None = None
    needs: tuple[str, ...] = ()
    timeout: float | None = None


@dataclass(frozen=True, kw_only=True)
class OutputRule:
    """What repro.yml says about outputs matching ``pattern`` (a glob; ``**`` crosses folders).

    ``compare`` holds options as text (``rtol``, ``atol``, ``as``, ``ignore`` …): no floats,
    since it is sealed in canonical JSON.
    """

    pattern: str
    required: bool = True
    compare: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project folder and what is declared about it.

    ``root`` is absolute with symlinks resolved. ``declared`` is true when outputs come
    from repro.yml (``outputs``), false when they are whatever the run writes.
    """

    name: str
    root: str
    steps: tuple[Step, ...]
    outputs: tuple[OutputRule, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    title: str | None = None
    config: str | None = None

    @property
    def declared(self) -> bool:
        """Whether repro.yml lists the outputs."""
        return bool(self.outputs)


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


@dataclass(frozen=True, kw_only=True)
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
