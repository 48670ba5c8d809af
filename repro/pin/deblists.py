"""Archives that apt's package lists name: hash, place, and the state of the archive then.

The lists in ``/var/lib/apt/lists`` were checked by apt against the signed Release when they
were fetched (apt-secure(8)); they are the only place of a Debian system that knows the
hash of a package file.
"""

from __future__ import annotations

import datetime
import email.utils
import gzip
import lzma
import re
import zlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from repro.pin.debsources import DebSource, deb_sources
from repro.pin.listed import Key, ListedArchive, PackageLists
from repro.pin.listed_notes import ListedNotes, state_of
from repro.primitives import process

LISTS = "/var/lib/apt/lists"
HELPER = "/usr/lib/apt/apt-helper"
"""apt's own reader of compressed lists; apt-helper(8) cat-file."""

_LIST = re.compile(r"(?:_(?P<component>[^_]+)_binary-[^_]+)?_Packages(?P<packed>\.[a-z0-9]+)?$")
_HEAD = 64 << 10
_IMPORTED = datetime.timedelta(hours=6)
_SNAPSHOTS = {
    ("Debian", "Debian"): "https://snapshot.debian.org/archive/debian/",
    ("Debian", "Debian Backports"): "https://snapshot.debian.org/archive/debian/",
    ("Debian", "Debian-Security"): "https://snapshot.debian.org/archive/debian-security/",
    ("Ubuntu", "Ubuntu"): "https://snapshot.ubuntu.com/ubuntu/",
}
"""By Origin and Label of a Release: the service that keeps every state of that archive."""


def package_lists(
    root: str, wanted: Collection[Key], notes: ListedNotes | None = None
) -> PackageLists:
    """What apt's lists say of these packages; what was said of them before is in ``notes``."""
    folder = Path(root + LISTS)
    sources = deb_sources(root)
    if notes is None or not folder.is_dir():
        return _read_lists(folder, sources, wanted)
    key = state_of(folder, sources, wanted)
    known = notes.find(key)
    if known is None:
        known = _read_lists(folder, sources, wanted)
        notes.keep(key, known)
    return known


def _read_lists(
    folder: Path, sources: Sequence[DebSource], wanted: Collection[Key]
) -> PackageLists:
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    places = [_ListPlace(name, sources) for name in sorted(names) if _LIST.search(name)]
    archives: dict[Key, ListedArchive] = {}
    unread: dict[str, str] = {}
    # As apt does: of two archives with the same package the one named first in sources.list.
    for place in sorted(places, key=lambda place: place.rank):
        try:
            data = _read(folder / place.name)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            unread[place.name] = str(error)
            continue
        found = _stanzas(data, wanted)
        facts = place.facts(folder) if found else {}
        for key, fields in found.items():
            archives.setdefault(key, place.archive(fields, facts))
    return PackageLists(archives=archives, count=len(places), unread=unread)


class _ListPlace:
    """A list, its source, and the Release that it belongs to."""

    def __init__(self, name: str, sources: Sequence[DebSource]) -> None:
        self.name = name
        fitting = [source for source in sources if name.startswith(source.list_prefix)]
        self._source = max(fitting, key=lambda source: len(source.list_prefix), default=None)
        self.rank = sources.index(self._source) if self._source else len(sources)

    def facts(self, folder: Path) -> dict[str, str]:
        """What holds for every archive of the list."""
        found = {"said-by": self.name.removesuffix(_packed(self.name))}
        match = _LIST.search(self.name)
        if match and match.group("component"):
            found["component"] = match.group("component")
        if self._source is not None:
            found["suite"] = self._source.suite
            found.update(_release(folder, self._source.list_prefix))
        return found

    def archive(self, fields: Mapping[str, str], facts: Mapping[str, str]) -> ListedArchive:
        """A stanza of the list as an archive."""
        filename = fields.get("Filename")
        url = self._source.url(filename) if self._source and filename else None
        own = {"filename": filename.removeprefix("./")} if filename else {}
        return ListedArchive(sha256=fields["SHA256"].lower(), url=url, facts={**facts, **own})


def _packed(name: str) -> str:
    match = _LIST.search(name)
    return (match.group("packed") or "") if match else ""


def _read(path: Path) -> bytes:
    """A list's plain bytes. Raises OSError, EOFError or LZMAError."""
    packed = _packed(path.name)
    if packed == "":
        return path.read_bytes()
    if packed == ".gz":
        return gzip.decompress(path.read_bytes())
    if packed == ".xz":
        return lzma.decompress(path.read_bytes())
    done = process.run(
        [HELPER, "cat-file", str(path)],
        cwd="/",
        environment={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
        timeout=120,
    )
    if done.exit != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise OSError(said[-1] if said else f"{HELPER} ended with {done.exit}")
    return done.stdout


def _stanzas(data: bytes, wanted: Collection[Key]) -> dict[Key, dict[str, str]]:
    """The stanzas of these packages that have a sha256."""
    names = {name.encode() for name, _, _ in wanted}
    found: dict[Key, dict[str, str]] = {}
    for match in re.finditer(rb"^Package: (\S+)$", data, re.MULTILINE):
        if match.group(1) not in names:
            continue
        end = data.find(b"\n\n", match.start())
        stanza = data[match.start() : end if end > 0 else len(data)].decode("utf-8", "replace")
        fields = _fields(stanza)
        key = (fields["Package"], fields.get("Version", ""), fields.get("Architecture", ""))
        if key in wanted and re.fullmatch("[0-9a-fA-F]{64}", fields.get("SHA256", "")):
            found[key] = fields
    return found


def _release(folder: Path, prefix: str) -> dict[str, str]:
    """The date of a list's Release, and where that state of the archive is kept."""
    for leaf in ("InRelease", "Release"):
        try:
            with (folder / (prefix + leaf)).open("rb") as stream:
                head = stream.read(_HEAD).decode("utf-8", "replace")
        except OSError:
            continue
        fields = _fields(head)
        try:
            date = email.utils.parsedate_to_datetime(fields.get("Date", ""))
        except ValueError:
            return {}
        if date.tzinfo is None:
            date = date.replace(tzinfo=datetime.timezone.utc)
        date = date.astimezone(datetime.timezone.utc)
        found = {"list-date": date.strftime("%Y-%m-%dT%H:%M:%SZ")}
        base = _SNAPSHOTS.get((fields.get("Origin", ""), fields.get("Label", "")))
        if base is not None:
            # The services give the last state before the time asked for, and import some
            # hours after a Release was made ("roughly 6 hours apart").
            found["snapshot"] = base + (date + _IMPORTED).strftime("%Y%m%dT%H%M%SZ/")
        return found
    return {}


def _fields(stanza: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in stanza.split("\n"):
        key, colon, value = line.partition(": ")
        if colon and not line.startswith(" "):
            found.setdefault(key, value)
    return found
