"""Where apt fetches from: sources.list(5), both forms, and the names it gives to its lists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from repro.primitives.frozen import frozen

_QUOTED = set('\\|{}[]<>"^~_=!@#$%^&*')


@frozen
class DebSource:
    """One suite of one archive; ``uri`` without a slash at its end."""

    uri: str
    suite: str

    @property
    def folder(self) -> str:
        """Where the suite's Release lies: a flat archive's suite is a path with a slash."""
        if self.suite.endswith("/"):
            return f"{self.uri}/{self.suite}".replace("/./", "/")
        return f"{self.uri}/dists/{self.suite}/"

    @property
    def list_prefix(self) -> str:
        """What the names of its files in ``/var/lib/apt/lists`` begin with."""
        return list_name(self.folder)

    def url(self, filename: str) -> str | None:
        """Where a package of its lists lies; None when that is no plain public address."""
        if not re.match(r"https?://[^/@]+(/|$)", self.uri):
            return None
        return f"{self.uri}/{filename.removeprefix('./')}"


def list_name(uri: str) -> str:
    """apt's name for a list (URItoFileName in apt-pkg/contrib/strutl.cc): no scheme, no user."""
    rest = uri.partition("://")[2] or uri.partition(":")[2]
    host, slash, path = rest.partition("/")
    quoted = "".join(map(_quoted, host.rpartition("@")[2] + slash + path))
    return quoted.replace("/", "_")


def _quoted(char: str) -> str:
    if char in _QUOTED or not " " < char < "\x7f":
        return "".join(f"%{byte:02x}" for byte in char.encode())
    return char


def deb_sources(root: str) -> list[DebSource]:
    """Every enabled binary source, in the order of apt. Unreadable files say nothing."""
    folder = Path(root + "/etc/apt")
    files = [folder / "sources.list"]
    if (folder / "sources.list.d").is_dir():
        files += sorted((folder / "sources.list.d").iterdir())
    found: list[DebSource] = []
    for path in files:
        try:
            text = path.read_text("utf-8", "replace")
        except OSError:
            continue
        if path.suffix == ".list":
            found += _one_line(text)
        elif path.suffix == ".sources":
            found += _stanzas(text)
    return list(dict.fromkeys(found))


def _one_line(text: str) -> Iterator[DebSource]:
    """``deb [options] uri suite component...``."""
    for line in text.splitlines():
        match = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)", line.strip())
        if match:
            yield DebSource(uri=match.group(1).rstrip("/"), suite=match.group(2))


def _stanzas(text: str) -> Iterator[DebSource]:
    """deb822(5): Types, URIs, Suites; lines that begin with # are comments anywhere."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in "\n".join(lines).split("\n\n"):
        fields: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line[:1] in (" ", "\t"):
                fields[key] = f"{fields.get(key, '')} {line.strip()}"
            else:
                key, _, value = line.partition(":")
                key = key.strip().lower()
                fields[key] = value.strip()
        if fields.get("enabled", "yes").lower() in ("no", "false", "0", "off"):
            continue
        if "deb" in fields.get("types", "").split():
            for uri in fields.get("uris", "").split():
                for suite in fields.get("suites", "").split():
                    yield DebSource(uri=uri.rstrip("/"), suite=suite)
