"""``repro provenance``: are the files of an archive's packages what was published?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from packageurl import PackageURL
from packaging.utils import canonicalize_name

from repro.image.listing import ImageListing
from repro.model.lock import Lock, LockedPackage
from repro.model.origin import FileNote, Origin, PackageOrigin
from repro.pin.debian_wheel import debian_origin, package_of
from repro.pin.dist_files import content, dists_in, wanted
from repro.pin.download import Fetcher
from repro.pin.origin_apt import DebKey, DebOrigins
from repro.pin.origin_pip import Registry, pip_origin
from repro.pin.pip_settings import pip_settings
from repro.primitives.events import Event, EventKind, Observer, silent
from repro.primitives.frozen import frozen
from repro.primitives.pycache import source_of
from repro.primitives.texts import printable
from repro.store.archive import Archive
from repro.workflows.apt_lists import newest, offered
from repro.workflows.compiled import Compiled, Spill, check_compiled
from repro.workflows.places import cache_root

SCHEMA = "repro.provenance/1"
_SITE = re.compile(r"(/.*/(?:site|dist)-packages)/(.+)")
_OF_VENV_TOOLS = ("_virtualenv.py", "_virtualenv.pth", "README.txt")
_MD5 = ("/var/lib/dpkg/info/{0}.md5sums", "/var/lib/dpkg/info/{0}:{1}.md5sums",
        "/var/lib/dpkg/status.d/{0}.md5sums")  # fmt: skip
_PYTHON = re.compile(r"python(?:3(?:\.\d+)?)?(?:-minimal)?")
_RELEASE = re.compile(r"(?:\d+:)?(\d+\.\d+\.\d+)")
_SYSTEM = ("base", "system", "runtime")
_OTHERS_IN_SITES = ("conda",)
_WHY_NOT = {
    "conda": "conda packages are not compared with their channel yet",
    "node": "node packages are not compared with their registry yet",
    "interpreter": "no registry publishes an interpreter that was built on a machine",
    "r": "R packages are published as source and built on the author's machine",
}


@frozen
class ProvenanceRequest:
    """``index`` replaces pip's own settings; ``offline`` asks nobody."""

    archive: Path
    tag: str | None
    environ: Mapping[str, str]
    offline: bool = False
    index: str | None = None


@frozen
class Provenance:
    """All findings. ``unclaimed`` are files where Python looks for code that no package ships.

    ``beyond`` counts, by folder, system files that no checked package ships.
    """

    digest: str
    tag: str
    offline: bool
    packages: tuple[PackageOrigin, ...]
    unclaimed: tuple[FileNote, ...]
    made_by_tools: tuple[FileNote, ...]
    beyond: Mapping[str, int]
    compiled: Compiled
    limits: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether anything is not what was published."""
        if self.unclaimed or self.compiled.differs:
            return True
        return any(package.origin is Origin.DIFFERS for package in self.packages)

    @property
    def remote(self) -> bool:
        """Whether a registry, or the way to it, kept a package from being checked."""
        return any(package.remote for package in self.packages)

    def to_json(self) -> dict[str, Any]:
        """The document ``repro.provenance/1``."""
        counts: dict[str, int] = {}
        for package in self.packages:
            counts[package.origin.value] = counts.get(package.origin.value, 0) + 1
        return {
            "schema": SCHEMA,
            "archive": {"digest": self.digest, "tag": self.tag},
            "offline": self.offline,
            "differs": self.differs,
            "counts": counts,
            "packages": [package.to_json() for package in self.packages],
            "unclaimed": [note.to_json() for note in self.unclaimed],
            "made_by_tools": [note.to_json() for note in self.made_by_tools],
            "of_no_package": dict(self.beyond),
            "compiled": self.compiled.total,
            "compiled_proven": self.compiled.proven,
            "compiled_differs": [note.to_json() for note in self.compiled.differs],
            "limits": list(self.limits),
        }


def provenance(request: ProvenanceRequest, observer: Observer = silent) -> Provenance:
    """Compare every locked package with what its registry publishes.

    Raises UsageError, ArchiveError (the archive is damaged), StorageError; a registry that
    cannot be asked is a finding (``remote``), no error.
    """
    with Archive.open(request.archive) as archive, ExitStack() as stack:
        version = archive.version(request.tag)
        lock = Lock.parse(archive.lock_json(version))
        spill = stack.enter_context(closing(Spill(cache_root(request.environ) / "runs")))
        files = ImageListing(_kept, md5=request.offline, spill=spill)
        for layer in version.layers:
            text = layer.kind or "a layer"
            observer(Event(kind=EventKind.PROGRESS, phase="read", text=text))
            with archive.open_blob(layer.descriptor) as stream:
                files.add(stream, layer)
        compiled = check_compiled(
            files, spill, set(releases(lock.packages)),
            lambda done, total: observer(_progress("compiled files", done - 1, total)),
        )  # fmt: skip
    settings = pip_settings(request.environ, index=request.index)
    fetcher = Fetcher(settings)
    registry = None if request.offline else Registry(settings=settings, fetcher=fetcher)
    pip, claimed, unread = _pip(files, lock.packages, registry, request.environ, observer)
    debs = _apt(files, lock.packages, None if request.offline else fetcher, request, observer)
    found = [*pip, *debs.findings(), *_others(lock.packages)]
    claims = claimed | debs.claimed()
    stray = _Stray(files, claims, unread, system=debs.complete())
    return Provenance(
        digest=str(version.config_digest),
        tag=version.tag,
        offline=request.offline,
        packages=tuple(sorted(found, key=lambda p: (p.source, p.name, p.version))),
        unclaimed=tuple(stray.unclaimed),
        made_by_tools=tuple(stray.by_tools),
        beyond=stray.beyond,
        compiled=compiled,
        limits=tuple(_limits(request, stray, compiled)),
    )


def _kept(path: str) -> bool:
    return wanted(path) or (path.startswith("/var/lib/dpkg/") and path.endswith(".md5sums"))


def _pip(
    files: ImageListing,
    locked: Sequence[LockedPackage],
    registry: Registry | None,
    environ: Mapping[str, str],
    observer: Observer,
) -> tuple[list[PackageOrigin], frozenset[str], frozenset[str]]:
    """Findings, the paths that distributions claim, site folders that cannot be judged."""
    names = {(canonicalize_name(p.name), p.version) for p in locked if p.source == "pip"}
    # conda lays files into site folders that are its own packages'.
    foreign = any(package.source in _OTHERS_IN_SITES for package in locked)
    found: list[PackageOrigin] = []
    claimed: set[str] = set()
    unread: set[str] = set()
    dists = [dist for dist in dists_in(files) if (dist.name, dist.version) in names]
    for number, dist in enumerate(dists):
        observer(_progress(f"pip {dist.name} {dist.version}", number, len(dists)))
        finding, paths = pip_origin(files, dist, registry)
        if finding.origin is Origin.DIFFERS and registry is not None:
            patched = newest(package_of(dist.name), environ)
            if patched is not None:
                finding = debian_origin(files, dist, patched, registry.fetcher) or finding
        found.append(finding)
        claimed |= paths
        if not paths or foreign:
            unread.add(dist.site)
    for name, version in sorted(names - {(dist.name, dist.version) for dist in dists}):
        found.append(_not_there(name, version))
    return found, frozenset(claimed), frozenset(unread)


def _not_there(name: str, version: str) -> PackageOrigin:
    return PackageOrigin(
        source="pip", name=name, version=version, origin=Origin.UNCHECKED,
        why="it is locked, but its dist-info is not in the image",
    )  # fmt: skip


def _apt(
    files: ImageListing,
    locked: Sequence[LockedPackage],
    fetcher: Fetcher | None,
    request: ProvenanceRequest,
    observer: Observer,
) -> DebOrigins:
    debs = DebOrigins(files)
    keys = list(deb_keys(locked))
    known = offered(keys, request.environ) if fetcher is not None and keys else {}
    for number, key in enumerate(keys):
        observer(_progress(f"apt {key.name} {key.version}", number, len(keys)))
        if fetcher is None:
            sums = b"".join(
                content(files, form.format(key.name, key.architecture)) for form in _MD5
            )
            if sums:
                debs.recorded(key, sums)
            else:
                debs.skip(key, "offline, and the image holds no md5sums of it")
        elif known is None:
            debs.skip(key, "this machine has no apt to ask for the package")
        else:
            debs.fetch(key, known.get((key.name, key.version, key.architecture)), fetcher)
    return debs


def deb_keys(locked: Iterable[LockedPackage]) -> Iterable[DebKey]:
    """The Debian packages of a lock, each once."""
    found: dict[DebKey, None] = {}
    for package in locked:
        if package.source != "apt":
            continue
        try:
            qualifiers = PackageURL.from_string(package.purl).qualifiers
        except ValueError:
            qualifiers = {}
        architecture = qualifiers.get("arch", "") if isinstance(qualifiers, dict) else ""
        digest = package.hash or ""
        key = DebKey(
            name=package.name,
            version=package.version,
            architecture=architecture,
            locked=digest[7:] if digest.startswith("sha256:") else None,
        )
        found[key] = None
    return found


def _others(locked: Iterable[LockedPackage]) -> Iterable[PackageOrigin]:
    for package in locked:
        if package.source not in ("pip", "apt"):
            why = _WHY_NOT.get(package.source, "its registry is not known here")
            yield PackageOrigin(
                source=package.source, name=package.name, version=package.version,
                origin=Origin.UNCHECKED, why=why,
            )  # fmt: skip


def releases(locked: Iterable[LockedPackage]) -> Iterable[str]:
    """The CPython releases (``3.11.2``) of an image's interpreters."""
    for package in locked:
        match = _RELEASE.match(package.version)
        if match and (package.source == "interpreter" or _PYTHON.fullmatch(package.name)):
            yield match.group(1)


def _progress(text: str, done: int, total: int) -> Event:
    return Event(kind=EventKind.PROGRESS, phase="compare", text=f"{done + 1}/{total} {text}")


class _Stray:
    """Files that no package ships, sorted by what they could do."""

    def __init__(
        self, files: ImageListing, claimed: frozenset[str], unread: frozenset[str], *, system: bool
    ) -> None:
        self.unclaimed: list[FileNote] = []
        self.by_tools: list[FileNote] = []
        self.beyond: dict[str, int] = {}
        self.compiled = 0
        self.skipped: set[str] = set(unread)
        for path, file in sorted(files.items()):
            source = source_of(path)
            if source is not None and files.get(source) is not None:
                self.compiled += 1
            elif path not in claimed:
                self._sort(path, file.layer, system)

    def _sort(self, path: str, layer: str, system: bool) -> None:
        match = _SITE.fullmatch(path)
        if match is None:
            if layer in _SYSTEM:
                folder = "/".join(path.split("/")[:4]).rpartition("/")[0]
                self.beyond[folder] = self.beyond.get(folder, 0) + 1
        elif match.group(1) in self.skipped or (
            match.group(1).startswith("/usr/lib/") and not system
        ):
            self.skipped.add(match.group(1))
        elif match.group(2) in _OF_VENV_TOOLS:
            self.by_tools.append(FileNote(path=path, why="virtualenv and uv write it: not checked"))
        else:
            self.unclaimed.append(FileNote(path=path, why="no package ships it"))


def _limits(request: ProvenanceRequest, stray: _Stray, compiled: Compiled) -> Iterable[str]:
    if request.offline:
        yield (
            "offline: who changed a file could have changed the lists inside the image as well; "
            "only a comparison with the registry shows that"
        )
    unproven = dict(compiled.unproven)
    if stray.compiled > compiled.total:
        unproven["another Python than CPython made them"] = stray.compiled - compiled.total
    for reason, count in unproven.items():
        yield (
            f"{count} compiled Python files (.pyc) are not proven to say what their sources say: "
            f"{reason}"
        )
    if stray.beyond:
        yield (
            f"{sum(stray.beyond.values())} system files are of no package that was read (links, "
            "caches and settings that installing makes, an interpreter of its own): not checked"
        )
    for folder in sorted(stray.skipped):
        yield f"added files in {printable(folder)} were not looked for: its packages are unchecked"
    yield "the project's own files are the author's: nobody else publishes them"
