"""Lock files of Python tools: pylock.toml (PEP 751), uv, poetry, pdm, Pipfile, requirements."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from repro.pin.statements import Statement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

_ALGORITHMS = ("sha256", "sha512", "sha384")
_PINNED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^]]*\])?\s*===?\s*([^\s;,]+)(.*)")
_HASH = re.compile(r"--hash[= ]([a-z0-9]+:[0-9a-f]+)")

Reader = Callable[[str, str], Iterator[Statement]]
"""From a file's text and its name."""


def pylock(text: str, said_by: str) -> Iterator[Statement]:
    """``pylock.toml`` and ``pylock.NAME.toml``."""
    for package in _tables(tomllib.loads(text).get("packages")):
        name, version = package.get("name"), package.get("version")
        files = [*_tables(package.get("wheels")), *_tables([package.get("sdist")])]
        files += _tables([package.get("archive")])
        for file in files:
            filename = file.get("name") or _leaf(file.get("url") or file.get("path"))
            hashes = file.get("hashes")
            yield from _statement(said_by, name, version, filename, file.get("url"), _best(hashes))


def uv_lock(text: str, said_by: str) -> Iterator[Statement]:
    """``uv.lock``: only what comes from an index or from an address."""
    for package in _tables(tomllib.loads(text).get("package")):
        name, version = package.get("name"), package.get("version")
        for file in (*_tables(package.get("wheels")), *_tables([package.get("sdist")])):
            place = file.get("url") or file.get("path") or file.get("filename")
            yield from _statement(
                said_by, name, version, _leaf(place), file.get("url"), file.get("hash")
            )


def poetry_lock(text: str, said_by: str) -> Iterator[Statement]:
    """``poetry.lock`` and ``pdm.lock``: file names and hashes, of pdm sometimes addresses."""
    document = tomllib.loads(text)
    metadata = document.get("metadata")
    older = metadata.get("files", {}) if isinstance(metadata, dict) else {}
    for package in _tables(document.get("package")):
        name, version = package.get("name"), package.get("version")
        files = package.get("files") or (older.get(name) if isinstance(name, str) else None)
        for file in _tables(files):
            filename = file.get("file") or _leaf(file.get("url"))
            yield from _statement(
                said_by, name, version, filename, file.get("url"), file.get("hash")
            )


def pipfile_lock(text: str, said_by: str) -> Iterator[Statement]:
    """``Pipfile.lock``: hashes without file names."""
    document = json.loads(text)
    for group, packages in document.items():
        if group == "_meta" or not isinstance(packages, dict):
            continue
        for name, package in packages.items():
            version = package.get("version") if isinstance(package, dict) else None
            if isinstance(version, str) and version.startswith("=="):
                for digest in package.get("hashes") or ():
                    yield from _statement(said_by, name, version.lstrip("="), None, None, digest)


def requirements(text: str, said_by: str) -> Iterator[Statement]:
    """``requirements.txt`` with ``--hash``: pins of one version, hashes without file names."""
    joined = re.sub(r"\\\r?\n", " ", text)
    for line in joined.splitlines():
        match = _PINNED.match(line.strip())
        if match:
            name, version, rest = match.groups()
            for digest in _HASH.findall(rest):
                yield from _statement(said_by, name, version, None, None, digest)


def _statement(
    said_by: str, name: object, version: object, filename: object, url: object, digest: object
) -> Iterator[Statement]:
    if isinstance(name, str) and isinstance(version, str) and isinstance(digest, str):
        yield Statement(
            said_by=said_by,
            source="pip",
            name=name,
            version=version,
            filename=filename if isinstance(filename, str) else None,
            url=url if isinstance(url, str) else None,
            hash=digest.lower(),
        )


def _best(hashes: object) -> str | None:
    if isinstance(hashes, Mapping):
        for algorithm in _ALGORITHMS:
            if isinstance(hashes.get(algorithm), str):
                return f"{algorithm}:{hashes[algorithm]}"
    return None


def _leaf(place: object) -> str | None:
    if not isinstance(place, str):
        return None
    return unquote(urlsplit(place).path).rpartition("/")[2] or None


def _tables(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
