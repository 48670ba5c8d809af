"""Packages of conda, mamba and pixi environments, from their ``conda-meta`` records."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packageurl import PackageURL

from repro.model.entry import LayerKind
from repro.model.lock import Grade, LockedPackage
from repro.model.observation import LeftOut, PackageRef
from repro.model.ports import PackageFile
from repro.pin.base import PackageSource
from repro.primitives.pycache import source_of, valid_pyc

_RUNTIME = frozenset({"python", "r-base", "julia", "nodejs", "openjdk", "octave", "perl"})
_TESTS = r"lib/python\d[^/]*/(?:test|idlelib|turtledemo|ensurepip|(?:[^/]+/)?(?:idle_test|tests))/"
_NOT_PACKED = (
    ("documentation", re.compile(r"share/(?:doc|man|info|gtk-doc)/|man/|doc/")),
    ("translations", re.compile(r"share/locale/")),
    ("static libraries", re.compile(r".*\.a$")),
    ("test suite, idle and ensurepip of the interpreter", re.compile(_TESTS)),
    ("tests of the package", re.compile(r".*/site-packages/.*/(?:tests?|testing_data)/")),
)
_PUBLIC = re.compile(r"https?://(?!.*/t/[^/]+/)[^/@\s]+/[^@\s]+")
"""No credentials, and none of the tokens that anaconda.org puts into paths."""


@dataclass(frozen=True)
class _Record:
    path: str
    fields: Mapping[str, Any]
    files: tuple[str, ...]


class Conda(PackageSource):
    """A prefix with ``conda-meta``: each record lists what its package put there."""

    name = "conda"
    rank = 15
    kind = LayerKind.PACKAGES

    def __init__(self, root: str = "/") -> None:
        super().__init__(root)
        self._prefixes: dict[str, str | None] = {}
        self._records: dict[str, dict[str, _Record]] = {}
        self._owners: dict[str, dict[str, str]] = {}

    def _usable(self) -> str | None:
        return None

    def _owner(self, path: str) -> PackageRef | None:
        prefix = self._prefix_of(path.rpartition("/")[0])
        if prefix is None:
            return None
        self._load(prefix)
        owners = self._owners[prefix]
        name = owners.get(source_of(path) or path) or owners.get(path)
        return self._ref(prefix, name) if name is not None else None

    def _files(self, package: PackageRef) -> Iterator[PackageFile]:
        prefix = package.key.rpartition("|")[0]
        for path in self._present(package):
            if _reason(path, prefix) is not None:
                continue
            source = source_of(path)
            if source is None or valid_pyc(self.host(path), self.host(source)):
                yield PackageFile(path=path, member=path[len(prefix) + 1 :])

    def _left_out(self, package: PackageRef) -> Iterator[LeftOut]:
        prefix = package.key.rpartition("|")[0]
        counts: dict[str, int] = {}
        for path in self._present(package):
            reason = _reason(path, prefix)
            if reason is not None:
                counts[reason] = counts.get(reason, 0) + 1
        for reason, count in sorted(counts.items()):
            yield LeftOut(path=f"conda:{package.name} ({count} files)", reason=reason)

    def _requires(self, package: PackageRef) -> Iterator[PackageRef]:
        prefix, record = self._record(package)
        for line in record.fields.get("depends", ()):
            name = line.split()[0].partition("=")[0].lower() if line.split() else ""
            if name in self._records[prefix] and name != package.name:
                yield self._ref(prefix, name)

    def _kind_of(self, package: PackageRef) -> LayerKind:
        return LayerKind.RUNTIME if package.name in _RUNTIME else LayerKind.PACKAGES

    def _environment(self, prefix: str) -> Iterator[PackageRef]:
        """Everything in an environment; of a program its package and what that needs."""
        if os.path.isdir(self.host(f"{prefix}/conda-meta")):
            self._load(prefix)
            yield from (self._ref(prefix, name) for name in self._records[prefix])
            return
        first = self._owner(prefix) if os.path.isfile(self.host(prefix)) else None
        pending, done = [first] if first else [], {first}
        while pending:
            ref = pending.pop()
            yield ref
            for needed in self._requires(ref):
                if needed not in done:
                    done.add(needed)
                    pending.append(needed)

    def _lock(self, package: PackageRef) -> LockedPackage:
        prefix, record = self._record(package)
        fields = record.fields
        url = _text(fields, "url")
        shown = url if url and _PUBLIC.fullmatch(url) else None
        digest = _digest(fields, "sha256", 64) or _digest(fields, "md5", 32)
        grade = Grade.HASH_ONLY if digest else Grade.NAME_ONLY
        md5 = _digest(fields, "md5", 32)
        facts = {"prefix": prefix, "said-by": record.path.rpartition("/")[2]}
        for name in ("build", "subdir", "fn", "license"):
            if _text(fields, name):
                facts[name] = str(fields[name])
        return LockedPackage(
            source=self.name,
            name=package.name,
            version=package.version,
            purl=_purl(package, fields, shown),
            grade=Grade.URL_AND_HASH if shown and digest else grade,
            url=shown if digest else None,
            hash=digest,
            facts={**facts, **({"md5": md5.partition(":")[2]} if md5 else {})},
        )

    def _prefix_of(self, folder: str) -> str | None:
        """The environment that a folder lies in, None for none."""
        if not folder.startswith("/"):
            return None
        if folder not in self._prefixes:
            meta = self.host(f"{folder}/conda-meta")
            self._prefixes[folder] = (
                folder if os.path.isdir(meta) else self._prefix_of(folder.rpartition("/")[0])
            )
        return self._prefixes[folder]

    def _load(self, prefix: str) -> None:
        if prefix in self._records:
            return
        records: dict[str, _Record] = {}
        owners: dict[str, str] = {}
        real = _RealFolders(self.root)
        for path in sorted(Path(self.host(f"{prefix}/conda-meta")).glob("*.json")):
            fields = _fields(path)
            listed = [name for name in fields.get("files", ()) if isinstance(name, str)]
            own = f"{prefix}/conda-meta/{path.name}"
            files = (own, *(real.path(f"{prefix}/{name}") for name in listed))
            name = str(fields["name"])
            records[name] = _Record(path=own, fields=fields, files=files)
            owners.update(dict.fromkeys(files, name))
        self._records[prefix], self._owners[prefix] = records, owners

    def _record(self, package: PackageRef) -> tuple[str, _Record]:
        prefix, _, name = package.key.rpartition("|")
        self._load(prefix)
        return prefix, self._records[prefix][name]

    def _ref(self, prefix: str, name: str) -> PackageRef:
        fields = self._records[prefix][name].fields
        return PackageRef(
            source=self.name, key=f"{prefix}|{name}", name=name, version=str(fields["version"])
        )

    def _present(self, package: PackageRef) -> Iterator[str]:
        """Its files that are there and that no other record took over."""
        prefix, record = self._record(package)
        owners = self._owners[prefix]
        for path in dict.fromkeys(record.files):
            if owners[path] == package.name and os.path.lexists(self.host(path)):
                yield path


class _RealFolders:
    """Paths with the links of their folders resolved (``lib64`` of an environment is a link)."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._known: dict[str, str] = {}

    def path(self, path: str) -> str:
        folder, _, leaf = os.path.normpath(path).rpartition("/")
        if folder not in self._known:
            self._known[folder] = os.path.realpath(self._root + folder)[len(self._root) :]
        return f"{self._known[folder]}/{leaf}"


def _fields(path: Path) -> Mapping[str, Any]:
    """A record. Raises ValueError that names the file when it is damaged."""
    try:
        fields = json.loads(path.read_bytes())
        if not isinstance(fields, dict) or not {"name", "version"} <= fields.keys():
            raise ValueError("it has no name or no version")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from error
    return fields


def _purl(package: PackageRef, fields: Mapping[str, Any], url: str | None) -> str:
    """Per the purl type ``conda``; the channel only as far as an address shows it."""
    qualifiers = {name: str(fields[name]) for name in ("build", "subdir") if _text(fields, name)}
    parts = url.split("/") if url else []
    if len(parts) > 5 and parts[-2] == fields.get("subdir"):
        qualifiers["channel"] = parts[-3]
    for ending in ("tar.bz2", "conda"):
        if (_text(fields, "fn") or "").endswith("." + ending):
            qualifiers["type"] = ending
    return PackageURL(
        type="conda", name=package.name, version=package.version, qualifiers=qualifiers
    ).to_string()


def _digest(fields: Mapping[str, Any], name: str, length: int) -> str | None:
    value = (_text(fields, name) or "").lower()
    return f"{name}:{value}" if re.fullmatch(rf"[0-9a-f]{{{length}}}", value) else None


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) and value else None


def _reason(path: str, prefix: str) -> str | None:
    """Why a file is not packed, None when it is."""
    member = path[len(prefix) + 1 :]
    return next((why for why, pattern in _NOT_PACKED if pattern.match(member)), None)
