"""Where a Python distribution's files come from: its RECORD first, then the published wheel."""

from __future__ import annotations

from collections.abc import Sequence

from repro.errors import RemoteError
from repro.model.origin import Origin, PackageOrigin
from repro.model.packed import PackedFiles
from repro.pin.dist_files import DistFiles
from repro.pin.download import Fetcher
from repro.pin.pip_settings import PipSettings, shown
from repro.pin.published_wheel import Compared, with_record, with_wheel
from repro.pin.simple_index import IndexFile, index_files
from repro.pin.wheel import Wheel, fits
from repro.primitives.frozen import frozen, replace
from repro.primitives.texts import printable

_WHEEL_LIMIT = 4 << 30
_TRIES = 4


@frozen
class Registry:
    """Where to ask for published wheels."""

    settings: PipSettings
    fetcher: Fetcher


def pip_origin(
    files: PackedFiles, dist: DistFiles, registry: Registry | None
) -> tuple[PackageOrigin, frozenset[str]]:
    """The finding for one distribution, and the paths that it claims.

    Without ``registry`` nothing is fetched: only the RECORD inside the image speaks.
    Raises StorageError when a download finds no room.
    """
    recorded = with_record(files, dist)
    if dist.record is None and registry is None:
        return _finding(dist, Origin.UNCHECKED, recorded, "it has no readable RECORD"), frozenset()
    if registry is None:
        return _finding(dist, Origin.RECORDED, recorded, "its wheel was not asked for"), (
            recorded.claimed
        )
    if dist.from_elsewhere is not None:
        why = f"its direct_url.json says that it was installed from {dist.from_elsewhere}"
        return _finding(dist, Origin.LOCAL, recorded, why), recorded.claimed
    try:
        return _published(files, dist, registry, recorded)
    except RemoteError as error:
        found = _finding(dist, Origin.UNCHECKED, recorded, printable(error.message))
        return replace(found, remote=True), recorded.claimed


def _published(
    files: PackedFiles, dist: DistFiles, registry: Registry, recorded: Compared
) -> tuple[PackageOrigin, frozenset[str]]:
    if not (registry.settings.indexes or registry.settings.links):
        why = "pip is set to ask no index on this machine"
        return _finding(dist, Origin.UNCHECKED, recorded, why), recorded.claimed
    offered, failed = index_files(registry.settings, registry.fetcher, dist.name)
    wheels = [file for file in offered if fits(file.filename, dist.name, dist.version, dist.tags)]
    if not wheels and failed is not None:
        raise failed
    if not wheels:
        return _without_wheel(dist, offered, recorded), recorded.claimed
    first: tuple[PackageOrigin, frozenset[str]] | None = None
    # One file name may be offered by several places: the one that was installed counts.
    for wheel in wheels[:_TRIES]:
        found = _compared(files, dist, registry, wheel, recorded)
        if found[0].origin is Origin.PUBLISHED:
            return found
        if first is None or len(found[0].differs) < len(first[0].differs):
            first = found
    assert first is not None
    return first


def _compared(
    files: PackedFiles,
    dist: DistFiles,
    registry: Registry,
    offered: IndexFile,
    recorded: Compared,
) -> tuple[PackageOrigin, frozenset[str]]:
    stream = registry.fetcher.file(offered.url, offered.sha256, _WHEEL_LIMIT)
    with stream, Wheel(stream) as wheel:
        compared = with_wheel(files, dist, wheel)
    hashed = f"sha256:{offered.sha256}" if offered.sha256 else "no hash in the index"
    against = printable(f"{offered.filename} of {shown(offered.index)}, {hashed}", 400)
    # A file that its own RECORD contradicts is named as such, once.
    known = {note.path for note in compared.differs}
    extra = tuple(note for note in recorded.differs if note.path not in known)
    compared = replace(compared, differs=(*compared.differs, *extra))
    return _finding(dist, Origin.PUBLISHED, compared, None, against), compared.claimed


def _without_wheel(
    dist: DistFiles, offered: Sequence[IndexFile], recorded: Compared
) -> PackageOrigin:
    """No wheel fits: built from source, another kind of wheel, or not published at all."""
    stem = f"-{dist.version}."
    sources = [
        f for f in offered if stem in f.filename and f.filename.endswith((".tar.gz", ".zip"))
    ]
    others = [file for file in offered if fits(file.filename, dist.name, dist.version, frozenset())]
    if others:
        why = "the index has this version, but no wheel with the tags of its WHEEL file"
        return _finding(dist, Origin.LOCAL, recorded, why)
    if sources:
        return _finding(dist, Origin.LOCAL, recorded, "the index has its source only: built here")
    why = "no index has this version" if offered else "no index has this name"
    return _finding(dist, Origin.ABSENT, recorded, why)


def _finding(
    dist: DistFiles,
    origin: Origin,
    compared: Compared,
    why: str | None = None,
    against: str | None = None,
) -> PackageOrigin:
    return PackageOrigin(
        source="pip",
        name=dist.name,
        version=dist.version,
        origin=Origin.DIFFERS if compared.differs else origin,
        why=why,
        against=against,
        equal=compared.equal,
        absent=compared.absent,
        local=compared.local,
        differs=compared.differs,
    )
