"""Where the files of Debian packages come from: compared with the packages themselves."""

from __future__ import annotations

from repro.errors import RemoteError
from repro.model.origin import FileNote, Origin, PackageOrigin
from repro.model.packed import PackedFile, PackedFiles
from repro.pin.deb import Deb, DebMember, read_deb, read_md5sums
from repro.pin.download import Fetcher
from repro.primitives.frozen import frozen, replace
from repro.primitives.texts import printable

_DEB_LIMIT = 4 << 30


@frozen
class DebKey:
    """A binary package by name, version and architecture; the hash that the lock gives."""

    name: str
    version: str
    architecture: str
    locked: str | None = None


@frozen
class AptFile:
    """What this machine's package lists (which apt checks by signature) say of a package."""

    url: str
    size: int
    sha256: str | None


class DebOrigins:
    """Findings of many packages together: one may replace a file of another."""

    def __init__(self, files: PackedFiles) -> None:
        self._files = files
        self._debs: dict[DebKey, Deb] = {}
        self._against: dict[DebKey, str] = {}
        self._other: list[PackageOrigin] = []
        self._published: dict[str, list[DebMember]] = {}

    def fetch(self, key: DebKey, offered: AptFile | None, fetcher: Fetcher) -> None:
        """Read the package that apt's lists offer. Raises StorageError without room."""
        if offered is None:
            why = "no package source of this machine offers this version"
            self._other.append(_unread(key, Origin.ABSENT, why))
            return
        if offered.sha256 is None:
            self._other.append(_unread(key, Origin.UNCHECKED, "the package lists give no SHA256"))
            return
        if key.locked is not None and key.locked != offered.sha256:
            why = "the lock names another package file than this machine's package lists"
            note = FileNote(path=f"sha256:{key.locked}", why=f"the lists say {offered.sha256}")
            self._other.append(_unread(key, Origin.DIFFERS, why, (note,)))
            return
        try:
            with fetcher.file(offered.url, offered.sha256, min(offered.size, _DEB_LIMIT)) as stream:
                self._add(key, read_deb(stream))
        except RemoteError as error:
            found = _unread(key, Origin.UNCHECKED, printable(error.message))
            self._other.append(replace(found, remote=True))
            return
        self._against[key] = f"{offered.url.rpartition('/')[2]}, sha256:{offered.sha256}"

    def skip(self, key: DebKey, why: str) -> None:
        """A package that cannot be asked for."""
        self._other.append(_unread(key, Origin.UNCHECKED, why))

    def recorded(self, key: DebKey, md5sums: bytes) -> None:
        """Compare with the md5sums that the image itself holds."""
        equal = absent = 0
        differs = []
        for path, digest in read_md5sums(md5sums).items():
            found = self._files.get(self._files.real(path))
            if found is None:
                absent += 1
            elif found.md5 == digest:
                equal += 1
            else:
                differs.append(FileNote(path=path, why="not what the md5sums in the image say"))
        self._other.append(
            PackageOrigin(
                source="apt", name=key.name, version=key.version,
                origin=Origin.DIFFERS if differs else Origin.RECORDED,
                why="MD5 sums inside the image: the package was not asked for",
                equal=equal, absent=absent, differs=tuple(differs),
            )
        )  # fmt: skip

    def findings(self) -> list[PackageOrigin]:
        """One finding for each package."""
        found = [self._finding(key, deb) for key, deb in self._debs.items()]
        return [*found, *self._other]

    def claimed(self) -> frozenset[str]:
        """The real paths that the packages read so far ship."""
        return frozenset(self._published)

    def complete(self) -> bool:
        """Whether every package was read: only then is a file of none of them a finding."""
        return not self._other

    def _add(self, key: DebKey, deb: Deb) -> None:
        self._debs[key] = deb
        for path, member in deb.members.items():
            self._published.setdefault(self._files.real(path), []).append(member)

    def _finding(self, key: DebKey, deb: Deb) -> PackageOrigin:
        equal = absent = 0
        differs = []
        for path, member in deb.members.items():
            real = self._files.real(path)
            found = self._files.get(real)
            if found is None or found.kind == "folder":
                absent += 1
            elif _same(found, member):
                equal += 1
            elif any(_same(found, other) for other in self._published[real]):
                absent += 1  # another package's file lies in its place (diversion, Replaces)
            else:
                changed = path in deb.configuration
                why = "a configuration file, changed" if changed else "not what the package holds"
                differs.append(FileNote(path=real, why=why))
        return PackageOrigin(
            source="apt", name=key.name, version=key.version,
            origin=Origin.DIFFERS if differs else Origin.PUBLISHED,
            against=printable(self._against[key], 300),
            equal=equal, absent=absent, differs=tuple(differs),
        )  # fmt: skip


def _same(found: PackedFile, member: DebMember) -> bool:
    if member.target is not None:
        return found.kind == "symlink" and found.target == member.target
    return found.kind == "file" and found.sha256 == member.sha256


def _unread(
    key: DebKey, origin: Origin, why: str, differs: tuple[FileNote, ...] = ()
) -> PackageOrigin:
    return PackageOrigin(
        source="apt", name=key.name, version=key.version, origin=origin, why=why, differs=differs
    )
