"""Development installs of the older kind (``setup.py develop``): NAME.egg-link in a site folder.

The link's first line is the folder that easy-install.pth puts on the path; the metadata lie
there in NAME.egg-info (setuptools, "Development Mode"; pip before 25 for setup.py alone).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from packaging.utils import canonicalize_name

from repro.primitives.frozen import frozen


@frozen
class EggLink:
    """One link: the package's name and version, its ``source`` and ``info`` folders (absolute),
    and its requirements without extras."""

    name: str
    version: str
    leaf: str
    source: str
    info: str
    requires: tuple[str, ...]


def egg_links(site: Path, root: str) -> Iterator[EggLink]:
    """The links of a site folder below ``root`` (empty for this machine), sorted by name.

    A link whose source or metadata are gone is none.
    """
    for link in sorted(site.glob("*.egg-link")):
        try:
            source = link.read_text("utf-8", "surrogateescape").splitlines()[0].strip()
        except (OSError, IndexError):
            continue
        for info in sorted(Path(root + source).glob("*.egg-info")):
            fields = _fields(info / "PKG-INFO")
            name = fields.get("Name", "")
            if "Version" in fields and canonicalize_name(name) == canonicalize_name(link.stem):
                yield EggLink(
                    name=name, version=fields["Version"], leaf=link.name, source=source,
                    info=str(info)[len(root) :], requires=tuple(_requires(info / "requires.txt")),
                )  # fmt: skip


def _fields(path: Path) -> dict[str, str]:
    try:
        head = path.read_text("utf-8", "replace").split("\n\n", 1)[0]
    except OSError:
        return {}
    pairs = (line.partition(": ") for line in head.splitlines())
    return {key: value.strip() for key, colon, value in pairs if colon}


def _requires(path: Path) -> Iterator[str]:
    """Lines before the first section: sections are extras and conditions."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        if line.startswith("["):
            return
        if line.strip():
            yield line.strip()
