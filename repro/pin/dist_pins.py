"""The pin of an installed Python distribution, from its own dist-info alone."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

from packageurl import PackageURL
from packaging.utils import canonicalize_name

from repro.model.lock import Grade, LockedPackage

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SHA256 = re.compile(r"(?:sha256[:=])?([0-9a-f]{64})")
_PUBLIC = re.compile(r"https?://[^/@\s]+/\S+")


def dist_pin(source: str, name: str, version: str, info: Path, site: str) -> LockedPackage:
    """What METADATA, RECORD, WHEEL, INSTALLER and direct_url.json tell (PEP 376, 610, 627).

    An index leaves neither address nor hash; then the hash is one of RECORD, which names
    every file. ``direct`` among the facts says that it came from no index.
    """
    direct = _json(info / "direct_url.json")
    url, digest = _address(direct)
    facts = {"site": site, **_direct_facts(direct), **_wheel_facts(info)}
    record = _record(info)
    if digest is None and record is not None:
        digest, url = record, None
    elif record is not None:
        facts["record"] = record
    grade = Grade.HASH_ONLY if digest else Grade.NAME_ONLY
    return LockedPackage(
        source=source,
        name=name,
        version=version,
        purl=PackageURL(type="pypi", name=canonicalize_name(name), version=version).to_string(),
        grade=Grade.URL_AND_HASH if url and digest else grade,
        url=url if digest else None,
        hash=digest,
        facts=facts,
    )


def _address(direct: Mapping[str, object]) -> tuple[str | None, str | None]:
    """URL and hash of what was installed, the URL without credentials or a local place."""
    url = direct.get("url")
    shown = url if isinstance(url, str) and _PUBLIC.fullmatch(url) else None
    vcs, archive = _mapping(direct.get("vcs_info")), _mapping(direct.get("archive_info"))
    commit = vcs.get("commit_id")
    if vcs.get("vcs") == "git" and isinstance(commit, str) and _COMMIT.fullmatch(commit):
        return (f"git+{shown}@{commit}" if shown else None), f"git-sha1:{commit}"
    given = _mapping(archive.get("hashes")).get("sha256") or archive.get("hash")
    match = _SHA256.fullmatch(given) if isinstance(given, str) else None
    return shown, f"sha256:{match.group(1)}" if match else None


def _direct_facts(direct: Mapping[str, object]) -> dict[str, str]:
    kinds = {"vcs_info": "vcs", "archive_info": "archive", "dir_info": "folder"}
    found: dict[str, str] = {}
    for key, word in kinds.items():
        if key in direct:
            found["direct"] = word
    if _mapping(direct.get("dir_info")).get("editable") is True:
        found["direct"] = "editable"
    subdirectory = direct.get("subdirectory")
    if isinstance(subdirectory, str):
        found["subdirectory"] = subdirectory
    return found


def _wheel_facts(info: Path) -> dict[str, str]:
    """The tags of the wheel that was installed, and who installed it."""
    tags = [
        line.partition(":")[2].strip()
        for line in _text(info / "WHEEL").splitlines()
        if line.startswith("Tag:")
    ]
    installer = _text(info / "INSTALLER").strip()
    found = {"tags": " ".join(tags)} if tags else {}
    if installer:
        found["installer"] = installer.splitlines()[0][:40]
    return found


def _record(info: Path) -> str | None:
    try:
        return "record-sha256:" + hashlib.sha256((info / "RECORD").read_bytes()).hexdigest()
    except OSError:
        return None


def _json(path: Path) -> Mapping[str, object]:
    try:
        return _mapping(json.loads(path.read_bytes()))
    except OSError:
        return {}


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
