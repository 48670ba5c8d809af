"""Lists for apt and conda: exact versions, and where that state of the archives is kept."""

from __future__ import annotations

import re

from repro.model.lock import Lock, LockedPackage
from repro.report.locklist import LockList, grouped, header, numbered, word

_DEB_NAME = r"[a-z0-9][a-z0-9+.-]*"
_DEB_VERSION = r"[0-9][A-Za-z0-9.+:~-]*"
_ARCHITECTURE = r"[a-z0-9-]+"
_PLACE = r"https?://[^\s#]+"
_SUITE = r"[A-Za-z0-9._/-]+"


def apt_list(lock: Lock) -> list[LockList]:
    """``apt.txt``: ``NAME:ARCH=VERSION`` of every package, with the sources of that day."""
    lines, sources, exact = [], set(), 0
    for package in (each for each in lock.packages if each.source == "apt"):
        line = _apt_line(package)
        if line is None:
            continue
        lines.append(line)
        exact += package.url is not None
        source = _snapshot(package)
        if source is not None:
            sources.add(source)
    if not lines:
        return []
    how = "grep -v '^#' apt.txt | cut -d' ' -f1 | xargs apt-get install --allow-downgrades"
    head = ["packages of a recorded run, to be installed with", how]
    if sources:
        head += ["from the archives as they were then (name these in /etc/apt/sources.list):"]
        head += sorted(sources)
    text = header(head) + "".join(lines)
    return [LockList(name="apt.txt", text=text, exact=exact, total=len(lines), how=how)]


def _apt_line(package: LockedPackage) -> str | None:
    name, version = word(package.name, _DEB_NAME), word(package.version, _DEB_VERSION)
    architecture = word(package.facts.get("arch", "all"), _ARCHITECTURE)
    if name is None or version is None or architecture is None:
        return None
    line = f"{name}:{architecture}={version}"
    if package.hash and re.fullmatch("sha256:[0-9a-f]{64}", package.hash):
        line += f"  # {package.hash}"
        if package.url and word(package.url, _PLACE):
            line += f" {package.url}"
    return line + "\n"


def _snapshot(package: LockedPackage) -> str | None:
    """A line of sources.list(5) for the dated state of a package's archive."""
    facts = package.facts
    place = word(facts.get("snapshot", ""), _PLACE)
    suite, component = (
        word(facts.get("suite", ""), _SUITE),
        word(facts.get("component", ""), _SUITE),
    )
    if place is None or suite is None or component is None:
        return None
    return f"deb [check-valid-until=no] {place} {suite} {component}"


def conda_lists(lock: Lock) -> list[LockList]:
    """For each environment an explicit specification: addresses with their md5 or sha256."""
    environments = grouped((each for each in lock.packages if each.source == "conda"), "prefix")
    return [
        _explicit(packages, numbered("conda", ".txt", number, len(environments)))
        for number, packages in enumerate(environments, 1)
    ]


def _explicit(packages: list[LockedPackage], name: str) -> LockList:
    platforms = {p.facts.get("subdir", "") for p in packages} - {"noarch", ""}
    lines, missing = [], []
    for package in packages:
        digest = _conda_hash(package)
        if package.url and word(package.url, _PLACE) and digest:
            lines.append(f"{package.url}#{digest}\n")
        else:
            missing.append(f"without an address: {package.name} {package.version}")
    how = f"conda create -n paper --file {name}"
    head = [f"packages of a recorded run, for: {how}"]
    if len(platforms) == 1:
        head.append(f"platform: {platforms.pop()}")
    text = header([*head, *missing]) + "@EXPLICIT\n" + "".join(lines)
    return LockList(name=name, text=text, exact=len(lines), total=len(packages), how=how)


def _conda_hash(package: LockedPackage) -> str | None:
    """md5 where it is known, which every conda understands, else sha256."""
    md5 = word(package.facts.get("md5", ""), "[0-9a-f]{32}")
    kind, _, value = (package.hash or "").partition(":")
    if md5 is None and kind == "md5":
        md5 = word(value, "[0-9a-f]{32}")
    if md5 is None and kind == "sha256" and word(value, "[0-9a-f]{64}"):
        return package.hash
    return md5
