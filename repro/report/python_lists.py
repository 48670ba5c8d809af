"""Python's lists: ``pylock.toml`` (PEP 751) of what has an address, requirements of all."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.pylock import Pylock, PylockValidationError
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from repro.model.lock import Lock, LockedPackage
from repro.report.locklist import LockList, grouped, header, numbered

_NAME = re.compile(r"[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]")
_HASH = re.compile(r"(sha256|sha384|sha512):([0-9a-f]+)")


def python_lists(lock: Lock, identity: str) -> list[LockList]:
    """For each site folder a pylock (when a package has an address) and requirements."""
    found: list[LockList] = []
    named = [each for each in lock.packages if each.source == "pip" and _sound(each)]
    named.sort(key=lambda each: canonicalize_name(each.name))
    sites = grouped(named, "site")
    for number, packages in enumerate(sites, 1):
        found += _pylock(packages, numbered("pylock", ".toml", number, len(sites)), identity)
        name = numbered("requirements", ".txt", number, len(sites))
        found.append(_requirements(packages, name, identity))
    return found


def _sound(package: LockedPackage) -> bool:
    """Whether name and version are ones that an installer takes."""
    try:
        Version(package.version)
    except InvalidVersion:
        return False
    return _NAME.fullmatch(package.name) is not None


def _pylock(packages: Sequence[LockedPackage], name: str, identity: str) -> list[LockList]:
    entries, missing = [], []
    for package in packages:
        entry = _entry(package)
        if entry is None:
            missing.append(f"{canonicalize_name(package.name)}=={package.version}")
        else:
            entries.append(entry)
    if not entries:
        return []
    tool = {"archive": identity, "without-address": missing}
    text = header(
        (f"packages of a recorded run, for `pip install -r {name}`",
         f"{len(missing)} without an address are named in tool.repro.without-address")
    )  # fmt: skip
    text += _toml({"lock-version": "1.0", "created-by": "repro"})
    for entry in entries:
        text += "\n[[packages]]\n" + _toml(entry)
    text += "\n[tool.repro]\n" + _toml(tool)
    how = f"pip install -r {name}"
    return [LockList(name=name, text=text, exact=len(entries), total=len(packages), how=how)]


def _entry(package: LockedPackage) -> dict[str, Any] | None:
    """A package as PEP 751 has it; None when nothing says where it is to be had."""
    entry: dict[str, Any] = {
        "name": str(canonicalize_name(package.name)),
        "version": package.version,
        **_source(package),
    }
    document = {"lock-version": "1.0", "created-by": "repro", "packages": [entry]}
    try:
        Pylock.from_dict(document)
    except PylockValidationError:
        return None
    return entry


def _source(package: LockedPackage) -> dict[str, Any]:
    facts = package.facts
    subdirectory = {"subdirectory": facts["subdirectory"]} if "subdirectory" in facts else {}
    kind, _, value = (package.hash or "").partition(":")
    if package.url is None:
        hashes = _hashes(facts.get("sdist-hash"))
        if hashes and "sdist-url" in facts:
            name = facts.get("sdist-filename") or _leaf(facts["sdist-url"])
            return {"sdist": {"name": name, "url": facts["sdist-url"], "hashes": hashes}}
        return {}
    if kind == "git-sha1":
        url = package.url.removeprefix("git+").removesuffix(f"@{value}")
        return {"vcs": {"type": "git", "url": url, "commit-id": value, **subdirectory}}
    hashes = _hashes(package.hash)
    if not hashes:
        return {}
    if facts.get("direct") == "archive":
        return {"archive": {"url": package.url, "hashes": hashes, **subdirectory}}
    name = facts.get("filename") or _leaf(package.url)
    return {"wheels": [{"name": name, "url": package.url, "hashes": hashes}]}


def _requirements(packages: Sequence[LockedPackage], name: str, identity: str) -> LockList:
    """All packages by version; with hashes only when each has one, as pip demands."""
    hashes = [_allowed(package) for package in packages]
    full = all(hashes)
    lines = []
    for package, allowed in zip(packages, hashes, strict=True):
        line = f"{canonicalize_name(package.name)}=={package.version}"
        if full:
            line += "".join(f" \\\n    --hash={digest}" for digest in allowed)
        lines.append(line + "\n")
    what = "each with its hashes" if full else "by version alone: not every one has a hash"
    text = header((f"packages of a recorded run, {what}", f"archive {identity}"))
    exact = len(packages) if full else 0
    how = f"pip install -r {name}"
    return LockList(
        name=name, text=text + "".join(lines), exact=exact, total=len(packages), how=how
    )


def _allowed(package: LockedPackage) -> list[str]:
    """Hashes that pip would check; none for what came from no index."""
    if "direct" in package.facts:
        return []
    given = package.facts.get("allowed-hashes", "").split() or [package.hash or ""]
    return [digest for digest in given if _HASH.fullmatch(digest)]


def _hashes(text: str | None) -> dict[str, str]:
    match = _HASH.fullmatch(text or "")
    return {match.group(1): match.group(2)} if match else {}


def _leaf(url: str) -> str:
    return unquote(urlsplit(url).path).rpartition("/")[2]


def _toml(table: Mapping[str, Any]) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in table.items())


def _value(value: object) -> str:
    """A TOML value; JSON's strings are TOML's but for DEL and halves of pairs."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
