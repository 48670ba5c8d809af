"""Debian and Ubuntu packages, from dpkg's own files (dpkg(1), deb822(5))."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

from packageurl import PackageURL

from repro.model.entry import LayerKind
from repro.model.lock import Grade, LockedPackage
from repro.model.observation import LeftOut, PackageRef
from repro.model.ports import PackageFile
from repro.pin.alternatives import alternatives
from repro.pin.base import PackageSource
from repro.pin.deblists import package_lists
from repro.pin.listed import PackageLists
from repro.pin.listed_notes import ListedNotes

BASE = (
    "base-files", "bash", "ca-certificates", "coreutils", "dash", "debianutils", "diffutils",
    "findutils", "gawk", "grep", "gzip", "hostname", "libacl1", "libattr1", "libbz2-1.0",
    "libc-bin", "libc6", "libcap2", "libcrypt1", "libgcc-s1", "libgmp10", "liblzma5", "libmpfr6",
    "libpcre2-8-0", "libreadline8", "libselinux1", "libsigsegv2", "libssl3", "libstdc++6", "libsystemd0",
    "libtinfo6", "libzstd1", "mawk", "netbase", "readline-common", "sed", "tar", "tzdata",
    "which", "zlib1g", "libgmp10t64", "libreadline8t64", "libssl3t64",
)  # fmt: skip
"""In every image of a Debian system, when installed: what a shell script may use."""

_RUNTIME = re.compile(
    r"(lib)?python3(\.\d+)?(-minimal|-stdlib|\.\d+)?$|r-base-core$|perl(-base|-modules.*)?$|"
    r"libperl5|octave$|nodejs$|libnode|julia$|openjdk-"
)
_NOT_PACKED = (
    ("documentation", re.compile(r"/usr/share/(doc|doc-base|man|info|help|gtk-doc|lintian|bug)/")),
    ("translations", re.compile(r"/usr/share/locale/")),
    ("static libraries", re.compile(r".*\.a$")),
)
_LOOKED_FOR = {"openmpi-bin": ("openssh-client",)}
"""Programs that another only looks for (stat(2) is not observed) and gives up without."""

_UNPACKED = ("not-installed", "config-files", "half-installed")
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


class Apt(PackageSource):
    """dpkg's database: which package owns a file, and what it holds."""

    name = "apt"
    rank = 10
    kind = LayerKind.SYSTEM

    def __init__(self, root: str = "/") -> None:
        super().__init__(root)
        self._owners: dict[str, str] | None = None
        self._status: dict[str, dict[str, str]] | None = None
        self._lists: PackageLists | None = None
        self._unlisted: set[str] = set()
        self._folders: dict[str, str] = {}
        self._diversions: dict[str, tuple[str, str]] | None = None
        self._alternatives: dict[str, list[tuple[str, str]]] = {}
        self._listing: dict[str, list[tuple[str, str | None]]] = {}

    def _usable(self) -> str | None:
        path = self.host("/var/lib/dpkg/status")
        if not os.path.isfile(path):
            return "no dpkg database on this system"
        return None if os.path.getsize(path) else "the dpkg database is empty"

    def _remark(self) -> str | None:
        lists = self._load_lists()
        if not lists.count:
            return "no hash of an archive: the package lists are not on this machine"
        said = []
        if lists.unread:
            name, reason = min(lists.unread.items())
            more = f" (and {len(lists.unread) - 1} more)" if len(lists.unread) > 1 else ""
            said.append(f"{name}{more} cannot be read: {reason}")
        if self._unlisted:
            names = ", ".join(sorted(self._unlisted)[:3]) + ", ..." * (len(self._unlisted) > 3)
            said.append(
                f"{len(self._unlisted)} of the installed versions are in no package list of "
                f"this machine ({names}): no hash, no address"
            )
        return "; ".join(said) or None

    def _owner(self, path: str) -> PackageRef | None:
        if self._usable() is not None:
            return None
        owners = self._load_owners()
        key = owners.get(path)
        if key is None and path.startswith("/usr/") and path.split("/")[2] in _MERGED:
            key = owners.get(path[4:])
        return self._ref(key) if key is not None else None

    def _files(self, package: PackageRef) -> Iterator[PackageFile]:
        for path, reason in self._listed(package):
            if reason is None:
                yield PackageFile(path=path, member=path)

    def _left_out(self, package: PackageRef) -> Iterator[LeftOut]:
        counts: dict[str, int] = {}
        for _, reason in self._listed(package):
            if reason is not None:
                counts[reason] = counts.get(reason, 0) + 1
        for reason, count in sorted(counts.items()):
            yield LeftOut(path=f"deb:{package.name} ({count} files)", reason=reason)

    def _always(self) -> Iterator[PackageRef]:
        if self._usable() is not None:
            return
        # Of a foreign architecture's copy (multiarch) the native one is meant.
        native = self._native()
        by_name = {
            fields["Package"]: key
            for key, fields in self._load_status().items()
            if fields["Architecture"] in (native, "all")
        }
        for name in BASE:
            if name in by_name:
                found = self._ref(by_name[name])
                if found is not None:
                    yield found

    def _requires(self, package: PackageRef) -> Iterator[PackageRef]:
        for name in _LOOKED_FOR.get(package.name, ()):
            for key in self._providers().get(name, ()):
                found = self._ref(key) if _fits(key, package.key) else None
                if found is not None:
                    yield found

    def _environment(self, prefix: str) -> Iterator[PackageRef]:
        """The package of a program and all that it depends on (deb-control(5))."""
        first = self._owner(prefix) if os.path.isfile(self.host(prefix)) else None
        if first is None:
            return
        keys = self._providers()
        pending, done = [first.key], {first.key}
        while pending:
            key = pending.pop()
            ref = self._ref(key)
            if ref is not None:
                yield ref
            fields = self._load_status()[key]
            for group in _depends(fields):
                for found in next((keys[name] for name in group if name in keys), ()):
                    if found not in done and _fits(found, key):
                        done.add(found)
                        pending.append(found)

    def _providers(self) -> dict[str, list[str]]:
        """Installed packages by their name, and by the names that they provide."""
        found: dict[str, list[str]] = {}
        for key, fields in self._load_status().items():
            found.setdefault(fields["Package"], []).append(key)
        for key, fields in self._load_status().items():
            for group in _groups(fields.get("Provides", "")):
                found.setdefault(group[0], [key])
        return found

    def _kind_of(self, package: PackageRef) -> LayerKind:
        if package.name in BASE and package.key.rpartition(":")[2] in (self._native(), "all"):
            return LayerKind.BASE
        return LayerKind.RUNTIME if _RUNTIME.match(package.name) else LayerKind.SYSTEM

    def _lock(self, package: PackageRef) -> LockedPackage:
        distribution, qualifier = self._distribution()
        architecture = package.key.rpartition(":")[2]
        purl = PackageURL(
            type="deb",
            namespace=distribution,
            name=package.name,
            version=package.version,
            qualifiers={"arch": architecture, "distro": qualifier},
        )
        listed = self._load_lists().archives.get((package.name, package.version, architecture))
        if listed is None:
            self._unlisted.add(package.name)
        grade = Grade.URL_AND_HASH if listed and listed.url else Grade.HASH_ONLY
        return LockedPackage(
            source=self.name,
            name=package.name,
            version=package.version,
            purl=purl.to_string(),
            grade=grade if listed else Grade.NAME_ONLY,
            url=listed.url if listed else None,
            hash=f"sha256:{listed.sha256}" if listed else None,
            facts={"arch": architecture, **(listed.facts if listed else {})},
        )

    def _status_stanza(self, package: PackageRef) -> bytes:
        fields = self._load_status().get(package.key, {})
        keep = ("Package", "Status", "Architecture", "Source", "Version", "Maintainer", "Depends")
        text = "".join(f"{name}: {fields[name]}\n" for name in keep if name in fields)
        return text.encode("utf-8", "surrogateescape")

    def _listed(self, package: PackageRef) -> list[tuple[str, str | None]]:
        """Every file of the package by its real path, with the reason to leave it out."""
        if package.key not in self._listing:
            self._listing[package.key] = list(self._look(package))
        return self._listing[package.key]

    def _look(self, package: PackageRef) -> Iterator[tuple[str, str | None]]:
        for line in self._list_file(package.key):
            if line[1:] in _MERGED:
                continue
            path = self._real(line)
            try:
                mode = os.lstat(self.host(path)).st_mode
            except OSError:
                continue
            if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
                continue
            yield path, _reason(path)
        # The generic names of what it provides: awk for mawk, libblas.so.3 for OpenBLAS.
        self._load_owners()
        for link, chosen in self._alternatives.get(package.key, ()):
            if _reason(link) is None:
                yield link, None
                yield chosen, None

    def _real(self, path: str) -> str:
        """The path with the links of its folder resolved (``/lib`` is ``/usr/lib``)."""
        folder, _, leaf = path.rpartition("/")
        if folder not in self._folders:
            real = os.path.realpath(self.host(folder) or "/")
            self._folders[folder] = real[len(self.root) :] if self.root else real
        return f"{self._folders[folder].rstrip('/')}/{leaf}"

    def _list_file(self, key: str) -> list[str]:
        name, _, architecture = key.partition(":")
        folder = self.host("/var/lib/dpkg/info")
        for candidate in (f"{name}:{architecture}.list", f"{name}.list"):
            try:
                with open(f"{folder}/{candidate}", "rb") as stream:
                    text = stream.read().decode("utf-8", "surrogateescape")
            except OSError:
                continue
            lines = [line for line in text.split("\n") if line[:1] == "/" and line != "/."]
            moved = self._load_diversions()
            if moved.keys().isdisjoint(lines):
                return lines
            return [line if line not in moved else _diverted(moved, line, name) for line in lines]
        return []

    def _load_diversions(self) -> dict[str, tuple[str, str]]:
        """Where files lie whose place another package took, and that package."""
        if self._diversions is None:
            self._diversions = {}
            database = Path(self.host("/var/lib/dpkg/diversions"))
            if database.is_file():
                lines = database.read_text("utf-8", "surrogateescape").split("\n")
                for place, other, package in zip(
                    lines[::3], lines[1::3], lines[2::3], strict=False
                ):
                    self._diversions[place] = (other, package)
        return self._diversions

    def _native(self) -> str:
        """The architecture of dpkg itself (dpkg --print-architecture)."""
        found = {
            fields["Architecture"]
            for fields in self._load_status().values()
            if fields["Package"] in ("dpkg", "base-files")
        }
        return min(found, default="all")

    def _ref(self, key: str) -> PackageRef | None:
        fields = self._load_status().get(key)
        if fields is None:
            return None
        return PackageRef(
            source=self.name, key=key, name=fields["Package"], version=fields["Version"]
        )

    def _load_owners(self) -> dict[str, str]:
        if self._owners is None:
            owners: dict[str, str] = {}
            for key in self._load_status():
                owners.update(zip(self._list_file(key), repeat(key), strict=False))
            self._owners = owners
            for key, links in self._chosen().items():
                owners.update(dict.fromkeys((path for pair in links for path in pair), key))
        return self._owners

    def _chosen(self) -> dict[str, list[tuple[str, str]]]:
        """By the package that each leads to now: the public link and the one in /etc."""
        for link, chosen, target in alternatives(self.root):
            package = self._owner(target)
            if package is not None:
                pair = (self._real(link), chosen)
                self._alternatives.setdefault(package.key, []).append(pair)
        return self._alternatives

    def _load_status(self) -> dict[str, dict[str, str]]:
        if self._status is None:
            found: dict[str, dict[str, str]] = {}
            text = Path(self.host("/var/lib/dpkg/status")).read_text("utf-8", "surrogateescape")
            for stanza in text.split("\n\n"):
                fields = _fields(stanza)
                state = fields.get("Status", "not-installed").rpartition(" ")[2]
                if state not in _UNPACKED:
                    found[_key(fields)] = fields
            if not found:
                raise ValueError("/var/lib/dpkg/status names no installed package")
            self._status = found
        return self._status

    def _load_lists(self) -> PackageLists:
        if self._lists is None:
            installed = {
                (fields["Package"], fields["Version"], fields["Architecture"])
                for fields in self._load_status().values()
            }
            notes = ListedNotes(self.notes) if self.notes is not None else None
            self._lists = package_lists(self.root, installed, notes)
        return self._lists

    def _distribution(self) -> tuple[str, str]:
        try:
            text = Path(self.host("/etc/os-release")).read_text("utf-8")
        except OSError:
            return "debian", "unknown"
        fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        name = fields.get("ID", "debian").strip('"')
        return name, f"{name}-{fields.get('VERSION_ID', 'unknown').strip(chr(34))}"


def _reason(path: str) -> str | None:
    """Why a file is not packed, None when it is."""
    return next((why for why, pattern in _NOT_PACKED if pattern.match(path)), None)


def _diverted(moved: dict[str, tuple[str, str]], path: str, name: str) -> str:
    """Where a package's file really lies (dpkg-divert(1))."""
    other, package = moved[path]
    return path if package == name else other


def _depends(fields: dict[str, str]) -> Iterator[list[str]]:
    for name in ("Pre-Depends", "Depends"):
        yield from _groups(fields.get(name, ""))


def _groups(text: str) -> Iterator[list[str]]:
    """``a (>= 1) | b:any, c`` as names: any one of each group will do."""
    for group in text.split(","):
        names = [re.split(r"[\s(:\[]", word.strip(), maxsplit=1)[0] for word in group.split("|")]
        if names[0]:
            yield names


def _fits(key: str, of: str) -> bool:
    """Whether a package's architecture serves another's."""
    own, other = key.rpartition(":")[2], of.rpartition(":")[2]
    return own == other or "all" in (own, other)


def _key(fields: dict[str, str]) -> str:
    missing = [name for name in ("Package", "Architecture", "Version") if name not in fields]
    if missing:
        named = fields.get("Package", "a package")
        raise ValueError(f"/var/lib/dpkg/status: {named} has no {missing[0]}")
    return f"{fields['Package']}:{fields['Architecture']}"


def _fields(stanza: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in stanza.split("\n"):
        key, colon, value = line.partition(": ")
        if colon and not line.startswith(" "):
            found[key] = value
    return found
