"""What this machine's apt offers of some packages: address, size and hash, nothing fetched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import unquote

from repro.pin.origin_apt import AptFile, DebKey
from repro.primitives import process

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.+:~-]*")
_ARCHITECTURE = re.compile(r"[a-z][a-z0-9-]*")
_LINE = re.compile(r"'([^']+)' (\S+)_(\S+)_([a-z0-9-]+)\.deb (\d+)(?: SHA256:([0-9a-f]{64}))?.*")
_PART = 200


def offered(
    keys: Iterable[DebKey], environ: Mapping[str, str]
) -> dict[tuple[str, str, str], AptFile] | None:
    """By name, version and architecture, from ``apt-get --print-uris``; None without apt.

    apt has checked its package lists by their signatures. Names from an archive that are
    no names of packages are passed over.
    """
    return _asked([word for key in keys for word in _word(key)], environ)


def candidates(keys: Iterable[DebKey], environ: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """By name and architecture, the address of the version that apt would install now."""
    words = [word.partition("=")[0] for key in keys for word in _word(key)]
    found = _asked(words, environ) or {}
    return {(name, architecture): file.url for (name, _, architecture), file in found.items()}


def newest(name: str, environ: Mapping[str, str]) -> AptFile | None:
    """The package file that apt would install now, of whatever version; None without one."""
    found = _asked([name], environ) if _NAME.fullmatch(name) else None
    return next((file for key, file in (found or {}).items() if key[0] == name), None)


def _asked(
    words: Sequence[str], environ: Mapping[str, str]
) -> dict[tuple[str, str, str], AptFile] | None:
    found: dict[tuple[str, str, str], AptFile] = {}
    for start in range(0, len(words), _PART):
        done = process.run(
            ["apt-get", "--quiet", "--print-uris", "download", *words[start : start + _PART]],
            cwd="/",
            environment=_environment(environ),
            timeout=120,
        )
        if done.exit in (124, 127):
            return None
        found.update(_parsed(done.stdout.decode("utf-8", "replace")))
    return found


def _word(key: DebKey) -> Iterator[str]:
    if not (
        _NAME.fullmatch(key.name)
        and _VERSION.fullmatch(key.version)
        and _ARCHITECTURE.fullmatch(key.architecture)
    ):
        return
    place = "" if key.architecture == "all" else f":{key.architecture}"
    yield f"{key.name}{place}={key.version}"


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: environ[name] for name in ("HOME", "APT_CONFIG") if name in environ}
    return {"PATH": environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", **kept}


def _parsed(text: str) -> Iterator[tuple[tuple[str, str, str], AptFile]]:
    """Lines like ``'http://…/a_1.0_all.deb' a_1.0_all.deb 123 SHA256:…``."""
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match:
            url, name, version, architecture, size, sha256 = match.groups()
            key = (name, unquote(version), architecture)
            yield key, AptFile(url=url, size=int(size), sha256=sha256)
