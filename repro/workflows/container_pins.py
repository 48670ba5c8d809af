"""What a container installed, as the metadata in its layer tell: added to the lock of its image.

The layer was written by whatever ran inside: each file is opened through no link, must be a
plain one of limited size, and only copies of it are read further.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from packageurl import PackageURL
from packaging.utils import canonicalize_name

from repro.container.changes import Change
from repro.errors import ReproError
from repro.model.lock import Grade, Lock, LockedPackage
from repro.pin.dist_pins import dist_pin
from repro.pin.sources.rlang import Rlang
from repro.primitives.files import open_inside

_DIST = re.compile(
    r"(?P<site>/.+)/(?P<dist>[^/]+)\.dist-info/(?:METADATA|RECORD|WHEEL|direct_url\.json)"
)
_R = re.compile(r"(?P<folder>/.+/[A-Za-z][A-Za-z0-9.]*)/DESCRIPTION")
_DEB = re.compile(r"/var/lib/dpkg/status(?:\.d/[^/]+)?")
_INFO = re.compile(r"(?P<site>/.+)/(?P<dist>[^/]+)\.dist-info")
_FLAGS = os.O_RDONLY | os.O_NONBLOCK
_LARGEST = 16 << 20
_MOST = 5_000
_HEADER = re.compile(r"^(Name|Version):[ \t]*(\S.{0,200}?)[ \t]*$", re.MULTILINE)

NOTE = "container layer"
"""The name under which the lock says how the layer's packages are pinned."""


def with_layer(lock: Lock, upper: Path, changes: Sequence[Change], folder: Path) -> Lock:
    """The lock with what the layer ``upper`` brought, without what it removed.

    ``folder`` is an empty one for copies. Metadata that cannot be read pin nothing.
    """
    made = {each.path for each in changes if each.status and stat.S_ISREG(each.status.st_mode)}
    gone = _Gone(each.path for each in changes if each.status is None)
    named = sorted(p for p in made if _DIST.fullmatch(p) or _R.fullmatch(p) or _DEB.fullmatch(p))
    copied = [path for path in named[:_MOST] if _copy(upper, path, folder)]
    found = [*_dists(copied, folder), *_r(copied, folder), *_debs(copied, folder, lock)]
    taken = {_place(each) for each in found}
    kept = [p for p in lock.packages if _place(p) not in taken and not gone.has(p)]
    brought = [each for each in found if each not in lock.packages]
    lost = len(lock.packages) - len(kept) - (len(found) - len(brought))
    text = (
        f"{len(brought)} packages brought, {max(lost, 0)} replaced or removed, by dist-info, "
        "DESCRIPTION and dpkg status in it; other files in it are of no package that is named"
    )
    if len(copied) < len(named):
        text += f"; {len(named) - len(copied)} files of metadata were not read"
    return Lock(
        packages=tuple(
            sorted([*kept, *found], key=lambda p: (p.source, p.name, p.version, p.purl))
        ),
        skipped={**lock.skipped, NOTE: text},
    )


def _copy(upper: Path, path: str, folder: Path) -> bool:
    """A plain file of the layer, in the same place below ``folder``; whether it could be had."""
    target = Path(f"{folder}{path}")
    try:
        root = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fd = open_inside(root, path.lstrip("/"), _FLAGS)
        finally:
            os.close(root)
        with os.fdopen(fd, "rb") as stream:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
                return False
            data = stream.read(_LARGEST)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    except OSError:
        return False
    return True


def _dists(paths: Iterable[str], folder: Path) -> Iterator[LockedPackage]:
    """A pin for each dist-info folder with its METADATA (PEP 376)."""
    for path in paths:
        match = _DIST.fullmatch(path)
        if match is None or not path.endswith("/METADATA"):
            continue
        info = Path(f"{folder}{path}").parent
        head = (info / "METADATA").read_text("utf-8", "replace").partition("\n\n")[0]
        fields = {key: value for key, value in reversed(_HEADER.findall(head))}
        if {"Name", "Version"} <= fields.keys():
            with contextlib.suppress(ReproError, ValueError, OSError):
                yield dist_pin("pip", fields["Name"], fields["Version"], info, match["site"])


def _r(paths: Iterable[str], folder: Path) -> Iterator[LockedPackage]:
    """A pin for each installed R package (a DESCRIPTION that says when it was built)."""
    source = Rlang(str(folder))
    for path in paths:
        match = _R.fullmatch(path)
        if match is not None:
            with contextlib.suppress(ReproError, ValueError, OSError):
                yield from source.installed(match["folder"])


def _debs(paths: Iterable[str], folder: Path, lock: Lock) -> Iterator[LockedPackage]:
    """A pin for each package that dpkg's status has as installed, and the lock has not."""
    known = {(p.name, p.version) for p in lock.packages if p.source == "apt"}
    like = next((p.purl for p in lock.packages if p.source == "apt"), "pkg:deb/debian/x")
    model = PackageURL.from_string(like)
    distro = model.qualifiers.get("distro") if isinstance(model.qualifiers, dict) else None
    for path in filter(_DEB.fullmatch, paths):
        for stanza in Path(f"{folder}{path}").read_text("utf-8", "replace").split("\n\n"):
            lines = (line.partition(":") for line in stanza.splitlines() if line[:1].isalpha())
            fields = {key: value.strip() for key, _, value in lines}
            name, version = fields.get("Package"), fields.get("Version")
            if not name or not version or (name, version) in known:
                continue
            if not fields.get("Status", "").endswith(" installed"):
                continue
            known.add((name, version))
            arch = fields.get("Architecture", "all")
            extra = {"arch": arch, **({"distro": distro} if distro else {})}
            purl = PackageURL(
                type="deb", namespace=model.namespace, name=name, version=version, qualifiers=extra
            )
            yield LockedPackage(
                source="apt", name=name, version=version, purl=purl.to_string(),
                grade=Grade.NAME_ONLY, facts={"arch": arch},
            )  # fmt: skip


def _place(package: LockedPackage) -> tuple[str, str, str]:
    """Two pins of one place: the later one replaces the other."""
    facts = package.facts
    where = facts.get("site") or facts.get("library") or facts.get("arch") or ""
    return package.source, canonicalize_name(package.name), where


class _Gone:
    """What was deleted: whole folders, and the metadata of single packages."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = set(paths)
        self._dists = set()
        for match in filter(None, map(_INFO.fullmatch, self._paths)):
            name, _, version = match["dist"].partition("-")
            self._dists.add((match["site"], canonicalize_name(name), version))

    def has(self, package: LockedPackage) -> bool:
        """Whether nothing of the package's metadata is left."""
        facts = package.facts
        if package.source == "pip":
            site = facts.get("site", "")
            key = (site, canonicalize_name(package.name), package.version)
            return key in self._dists or self._below(site)
        if package.source == "r":
            return self._below(f"{facts.get('library', '')}/{package.name}")
        return False

    def _below(self, path: str) -> bool:
        while path:
            if path in self._paths:
                return True
            path = path.rpartition("/")[0]
        return False
