"""Lists for R (the form of renv) and Node (the form of npm)."""

from __future__ import annotations

import re
from typing import Any

from repro.model.lock import Lock, LockedPackage
from repro.report.locklist import LockList, grouped, json_text, numbered

_REMOTE = {
    "remotetype": "RemoteType", "remotehost": "RemoteHost", "remoteusername": "RemoteUsername",
    "remoterepo": "RemoteRepo", "remoteref": "RemoteRef", "remotesha": "RemoteSha",
    "remotesubdir": "RemoteSubdir",
}  # fmt: skip
_SOURCES = {"github": "GitHub", "gitlab": "GitLab", "git": "Git", "xgit": "Git", "git2r": "Git"}
_CRAN = {"Name": "CRAN", "URL": "https://cloud.r-project.org"}


def r_list(lock: Lock) -> list[LockList]:
    """``renv.lock``; a Hash only where the project's own renv.lock had it."""
    packages = [each for each in lock.packages if each.source == "r"]
    if not packages:
        return []
    built = [re.match(r"R (\d+\.\d+\.\d+)", each.facts.get("built", "")) for each in packages]
    versions = sorted({match.group(1) for match in built if match})
    document: dict[str, Any] = {
        "R": {**({"Version": versions[-1]} if versions else {}), "Repositories": [_CRAN]},
        "Packages": {each.name: _r_package(each) for each in packages},
    }
    return [
        LockList(
            name="renv.lock",
            text=json_text(document),
            exact=sum(each.url is not None for each in packages),
            total=len(packages),
            how='renv::restore(lockfile = "renv.lock")',
        )
    ]


def _r_package(package: LockedPackage) -> dict[str, str]:
    facts = package.facts
    found = {"Package": package.name, "Version": package.version}
    kind = facts.get("remotetype", "").lower()
    if kind in _SOURCES:
        found["Source"] = _SOURCES[kind]
        found.update({name: facts[key] for key, name in _REMOTE.items() if key in facts})
    elif "repository" in facts or "renv-repository" in facts:
        found["Source"] = "Repository"
        found["Repository"] = facts.get("renv-repository", facts.get("repository", ""))
    else:
        found["Source"] = "unknown"
    if "renv-hash" in facts:
        found["Hash"] = facts["renv-hash"]
    return found


def node_lists(lock: Lock) -> list[LockList]:
    """For each folder with node_modules a ``package-lock.json`` of version 3."""
    tops = grouped((each for each in lock.packages if each.source == "node"), "top")
    return [
        _package_lock(packages, numbered("package-lock", ".json", number, len(tops)))
        for number, packages in enumerate(tops, 1)
    ]


def _package_lock(packages: list[LockedPackage], name: str) -> LockList:
    entries: dict[str, Any] = {"": {"dependencies": _own(packages)}}
    for package in packages:
        entry = {"version": package.version}
        if package.url is not None:
            entry["resolved"] = package.url
        if "integrity" in package.facts:
            entry["integrity"] = package.facts["integrity"]
        entries[package.facts.get("folder", f"node_modules/{package.name}")] = entry
    document = {"name": "paper", "lockfileVersion": 3, "requires": True, "packages": entries}
    return LockList(
        name=name,
        text=json_text(document),
        exact=sum(each.url is not None for each in packages),
        total=len(packages),
        how="beside a package.json with the same dependencies: npm ci",
    )


def _own(packages: list[LockedPackage]) -> dict[str, str]:
    """What lies directly in node_modules, by exact version."""
    return {
        each.name: each.version
        for each in packages
        if each.facts.get("folder", "").count("node_modules/") == 1
    }
