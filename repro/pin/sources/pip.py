"""Python distributions in site folders, from their ``*.dist-info`` (PEP 376, PEP 627)."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from repro.model.entry import LayerKind
from repro.model.lock import LockedPackage
from repro.model.observation import LeftOut, PackageRef
from repro.model.ports import PackageFile
from repro.pin.base import PackageSource
from repro.pin.dist_pins import dist_pin
from repro.pin.egg_links import EggLink, egg_links
from repro.primitives.pycache import source_of, valid_pyc

_SITE = re.compile(r"^(.*?/(?:site|dist)-packages)/")
_PYTHON = re.compile(r"/lib(?:64)?/python(\d+\.\d+)/")
_TESTS = re.compile(r"/(?:tests?|testing_data|baseline_images)/")
_SITES = ("python3*/site-packages", "python3*/dist-packages")
_PATH_MAX = 4096


@dataclass(frozen=True)
class _Dist:
    name: str
    version: str
    info: str
    members: tuple[str, ...]
    recorded: bool
    link: EggLink | None = None


class Pip(PackageSource):
    """Whatever installer wrote a ``dist-info``: pip, uv, poetry, pdm."""

    name = "pip"
    rank = 20
    kind = LayerKind.PACKAGES

    def __init__(self, root: str = "/") -> None:
        super().__init__(root)
        self._sites: dict[str, dict[str, _Dist]] = {}
        self._owners: dict[str, dict[str, str]] = {}
        self._above: dict[str, tuple[str, ...]] = {}
        self._there: dict[str, list[str]] = {}

    def _usable(self) -> str | None:
        return None

    def _owner(self, path: str) -> PackageRef | None:
        for site in self._sites_for(path):
            self._load(site)
            key = self._owners[site].get(source_of(path) or path)
            if key is not None:
                return self._ref(site, key)
        return None

    def _files(self, package: PackageRef) -> Iterator[PackageFile]:
        site = package.key.rpartition("|")[0]
        for path in self._present(package):
            if not _of_tests(path, site):
                yield PackageFile(path=path, member=path)
                if path.endswith(".py"):
                    yield from self._caches(package, path)

    def _left_out(self, package: PackageRef) -> Iterator[LeftOut]:
        site, dist = self._dist(package)
        count = sum(1 for path in self._present(package) if _of_tests(path, site))
        if count:
            yield LeftOut(
                path=f"pypi:{package.name} ({count} files)", reason="tests of the package"
            )
        if not dist.recorded:
            yield LeftOut(
                path=f"pypi:{package.name}",
                reason="it has no RECORD: only its files that the run read are packed",
            )

    def _editable(self, package: PackageRef) -> str | None:
        _, dist = self._dist(package)
        return dist.link.source if dist.link else _source_folder(self._direct_url(dist))

    def _requires(self, package: PackageRef) -> Iterator[PackageRef]:
        site, dist = self._dist(package)
        environment = {"extra": ""}
        match = _PYTHON.search(site + "/")
        if match:
            environment["python_version"] = match.group(1)
            environment["python_full_version"] = match.group(1) + ".0"
        if dist.link is not None:
            # One file puts all of them on the path, and only one package can own it.
            others = self._sites[site].items()
            yield from (self._ref(site, key) for key, each in others if each.link)
        for requirement in self._requirements(dist):
            if _applies(requirement, environment):
                key = canonicalize_name(requirement.name)
                for place in (site, *self._sites_behind(site)):
                    found = self._sites[place].get(key)
                    # Elsewhere what has no RECORD is another package manager's.
                    if found is not None and (place == site or found.recorded):
                        yield self._ref(place, key)
                        break

    def _sites_behind(self, site: str) -> Iterator[str]:
        """Site folders that a venv sees besides its own (``include-system-site-packages``)."""
        prefix = site.rpartition("/lib/")[0]
        try:
            text = Path(self.host(f"{prefix}/pyvenv.cfg")).read_text("utf-8", "surrogateescape")
        except OSError:
            return
        lines = (line.partition("=") for line in text.splitlines())
        fields = {key.strip().lower(): value.strip() for key, _, value in lines}
        if fields.get("include-system-site-packages", "").lower() == "true":
            for other in self._sites_below(os.path.dirname(fields.get("home", ""))):
                self._load(other)
                yield other

    def _environment(self, prefix: str) -> Iterator[PackageRef]:
        for site in self._sites_below(prefix):
            self._load(site)
            for key in self._sites[site]:
                yield self._ref(site, key)

    def _lock(self, package: PackageRef) -> LockedPackage:
        site, dist = self._dist(package)
        return dist_pin(self.name, dist.name, dist.version, Path(self.host(dist.info)), site)

    def _sites_for(self, path: str) -> Iterator[str]:
        """The site folder that holds the path, or those of the prefixes above it.

        A distribution's programs, settings and data lie beside ``lib``: in ``bin``,
        ``etc/jupyter``, ``share/jupyter/kernels`` of the prefix.
        """
        match = _SITE.match(path)
        if match:
            yield match.group(1)
        else:
            yield from self._sites_above(path.rpartition("/")[0])

    def _sites_above(self, folder: str) -> tuple[str, ...]:
        if not folder:
            return ()
        if folder not in self._above:
            own = tuple(self._sites_below(folder))
            self._above[folder] = own + self._sites_above(folder.rpartition("/")[0])
        return self._above[folder]

    def _sites_below(self, prefix: str) -> Iterator[str]:
        lib = Path(self.host(prefix), "lib")
        if lib.is_dir():
            for pattern in _SITES:
                for site in sorted(lib.glob(pattern)):
                    yield str(site)[len(self.root) :]

    def _load(self, site: str) -> None:
        if site in self._sites:
            return
        dists: dict[str, _Dist] = {}
        owners: dict[str, str] = {}
        folder = Path(self.host(site))
        for info in sorted(folder.glob("*.dist-info")) if folder.is_dir() else []:
            dist = self._read(site, info)
            if dist is None:
                continue
            key = canonicalize_name(dist.name)
            dists[key] = dist
            owners.update(zip(dist.members, repeat(key), strict=False))
        for link in egg_links(folder, self.root):
            key = canonicalize_name(link.name)
            members = (f"{site}/easy-install.pth", f"{site}/{link.leaf}")
            dists[key] = _Dist(link.name, link.version, link.info, members, True, link)
            owners.update(dict.fromkeys(members, key))
        self._sites[site], self._owners[site] = dists, owners

    def _read(self, site: str, info: Path) -> _Dist | None:
        fields = _metadata(info / "METADATA")
        if "Name" not in fields or "Version" not in fields:
            return None
        members: list[str] = []
        record = info / "RECORD"
        if record.is_file():
            names = [name for name in _recorded(record) if name[-4:] != ".pyc"]
            members = [name if name[:1] == "/" else f"{site}/{name}" for name in names]
            members = [os.path.normpath(path) if "./" in path else path for path in members]
        return _Dist(
            name=fields["Name"][0],
            version=fields["Version"][0],
            info=str(info)[len(self.root) :],
            members=tuple(members),
            recorded=record.is_file(),
        )

    def _ref(self, site: str, key: str) -> PackageRef:
        dist = self._sites[site][key]
        return PackageRef(
            source=self.name, key=f"{site}|{key}", name=dist.name, version=dist.version
        )

    def _dist(self, package: PackageRef) -> tuple[str, _Dist]:
        site, _, key = package.key.rpartition("|")
        self._load(site)
        return site, self._sites[site][key]

    def _present(self, package: PackageRef) -> list[str]:
        if package.key not in self._there:
            _, dist = self._dist(package)
            there = [path for path in dist.members if os.path.lexists(self.host(path))]
            self._there[package.key] = there
        return self._there[package.key]

    def _caches(self, package: PackageRef, path: str) -> Iterator[PackageFile]:
        match = _PYTHON.search(package.key)
        if match is None:
            return
        folder, _, leaf = path.rpartition("/")
        tag = "cpython-" + match.group(1).replace(".", "")
        cache = f"{folder}/__pycache__/{leaf[:-3]}.{tag}.pyc"
        if valid_pyc(self.host(cache), self.host(path)):
            yield PackageFile(path=cache, member=cache)

    def _requirements(self, dist: _Dist) -> Iterable[Requirement]:
        metadata = _metadata(Path(self.host(dist.info)) / "METADATA")
        for line in dist.link.requires if dist.link else metadata.get("Requires-Dist", ()):
            try:
                yield Requirement(line)
            except InvalidRequirement:
                continue

    def _direct_url(self, dist: _Dist) -> dict[str, object]:
        try:
            text = (Path(self.host(dist.info)) / "direct_url.json").read_bytes()
        except OSError:
            return {}
        return _mapping(json.loads(text))


def _of_tests(path: str, site: str) -> bool:
    """Whether a file belongs to the tests inside a package (the site's own path is no sign)."""
    return path.startswith(site + "/") and _TESTS.search(path, len(site) + 1) is not None


def _applies(requirement: Requirement, environment: dict[str, str]) -> bool:
    try:
        return requirement.marker is None or requirement.marker.evaluate(environment)
    except ValueError:  # a marker that compares what cannot be compared
        return True


def _recorded(record: Path) -> Iterator[str]:
    """The paths in a RECORD. Raises ValueError that names the file when it is damaged."""
    text = record.read_bytes().decode("utf-8", "surrogateescape")
    plain = text.replace("\r\n", "\n")
    if not any(sign in plain for sign in ('"', "\r", "\0")):
        # Nearly all of them, in a fifth of the time.
        lines = plain.split("\n")
        if max(map(len, lines)) <= _PATH_MAX:
            yield from (line.partition(",")[0] for line in lines if line)
            return
    try:
        with io.StringIO(text, newline="") as stream:
            for row in csv.reader(stream):
                if max(map(len, row), default=0) > _PATH_MAX:
                    raise ValueError(f"{record}: a field of {max(map(len, row))} characters")
                yield from row[:1]
    except csv.Error as error:
        raise ValueError(f"{record}: {error}") from error


def _source_folder(direct: dict[str, object]) -> str | None:
    """The folder of a development install (PEP 660), None for others."""
    url = direct.get("url")
    if _mapping(direct.get("dir_info")).get("editable") is True and isinstance(url, str):
        return unquote(urlsplit(url).path)
    return None


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _metadata(path: Path) -> dict[str, list[str]]:
    """The header fields of a METADATA file; continuation lines are of no interest here."""
    found: dict[str, list[str]] = {}
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return found
    for line in text.split("\n\n", 1)[0].splitlines():
        key, colon, value = line.partition(": ")
        if colon and not line.startswith((" ", "\t")):
            found.setdefault(key, []).append(value.strip())
    return found
