"""The wheels that Debian and Ubuntu patch and their venv installs: python3-pip-whl and its like."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

from repro.errors import RemoteError
from repro.model.origin import Origin, PackageOrigin
from repro.model.packed import PackedFiles
from repro.pin.deb import hash_only, read_deb
from repro.pin.dist_files import DistFiles
from repro.pin.download import Fetcher
from repro.pin.origin_apt import AptFile
from repro.pin.published_wheel import with_wheel
from repro.pin.wheel import Wheel
from repro.primitives.texts import printable

_WHEEL = re.compile(r"/usr/share/python-wheels/([^/]+)-([^/-]+)-[^/-]+-[^/-]+-[^/-]+\.whl")
_MOST = 64 << 20


def package_of(name: str) -> str:
    """The Debian package that would hold the wheel of a distribution."""
    return f"python3-{name}-whl"


def debian_origin(
    files: PackedFiles, dist: DistFiles, offered: AptFile, fetcher: Fetcher
) -> PackageOrigin | None:
    """The finding, when every file is that of the wheel in this Debian package; else None."""
    if offered.sha256 is None:
        return None
    try:
        with (
            fetcher.file(offered.url, offered.sha256, min(offered.size, _MOST)) as stream,
            tempfile.TemporaryFile() as spooled,
        ):
            if not _spool(stream, dist, spooled):
                return None
            with Wheel(spooled) as wheel:
                compared = with_wheel(files, dist, wheel)
    except RemoteError:
        return None
    if compared.differs:
        return None
    against = f"{offered.url.rpartition('/')[2]}, sha256:{offered.sha256}"
    return PackageOrigin(
        source="pip", name=dist.name, version=dist.version, origin=Origin.PUBLISHED,
        why="as the Linux distribution patched and published it, not as its index did",
        against=printable(against, 300), equal=compared.equal, absent=compared.absent,
        local=compared.local,
    )  # fmt: skip


def _spool(deb: BinaryIO, dist: DistFiles, target: BinaryIO) -> bool:
    """Write the wheel of this distribution and version to ``target``; whether there is one."""
    found: list[str] = []

    def take(path: str, size: int, pieces: Iterator[memoryview]) -> str:
        match = _WHEEL.fullmatch(path)
        wanted = match and (match.group(1).replace("_", "-").lower(), match.group(2))
        if wanted != (dist.name, dist.version) or size > _MOST:
            return hash_only(path, size, pieces)
        found.append(path)
        return hash_only(path, size, _copied(pieces, target))

    read_deb(deb, take)
    target.seek(0)
    return len(found) == 1


def _copied(pieces: Iterator[memoryview], target: BinaryIO) -> Iterator[memoryview]:
    for piece in pieces:
        target.write(piece)
        yield piece
