"""What a project's lock files say of packages, matched to what is installed.

A lock file is not the installation: it counts where name, version and the tags of the
wheel agree, and the pin then names the file that said so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from packaging.tags import Tag, parse_tag
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    canonicalize_version,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion

from repro.model.lock import Grade, LockedPackage
from repro.primitives.frozen import frozen

_HASH = re.compile(r"(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})")
_PUBLIC = re.compile(r"https?://[^/@\s]+/\S+")


@frozen
class Statement:
    """One file of one version, as the lock file ``said_by`` names it.

    ``source`` is the package source that it is for. ``filename`` is None where only the
    hashes of unnamed files are listed. ``facts`` go into the pin as they are.
    """

    said_by: str
    source: str
    name: str
    version: str
    filename: str | None = None
    url: str | None = None
    hash: str | None = None
    facts: Mapping[str, str] | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """Source, name and version in their normal forms."""
        return self.source, canonicalize_name(self.name), canonicalize_version(self.version)


def matched(
    packages: Iterable[LockedPackage], statements: Sequence[Statement]
) -> tuple[list[LockedPackage], list[str]]:
    """The packages with what is said of them, and where lock files contradict each other."""
    by_key: dict[tuple[str, str, str], list[Statement]] = {}
    for statement in statements:
        by_key.setdefault(statement.key, []).append(statement)
    found, conflicts = [], []
    for package in packages:
        key = (
            package.source,
            canonicalize_name(package.name),
            canonicalize_version(package.version),
        )
        said = by_key.get(key, [])
        if not said or package.grade is Grade.URL_AND_HASH:
            found.append(package)
        elif package.source == "pip":
            pin, conflict = _distribution(package, said)
            found.append(pin)
            conflicts += [conflict] if conflict else []
        else:
            found.append(_with_facts(package, said[0], {}))
    return found, conflicts


def _distribution(
    package: LockedPackage, said: Sequence[Statement]
) -> tuple[LockedPackage, str | None]:
    """The pin of a Python distribution by the wheel that fits, or what else is known."""
    if "direct" in package.facts:
        return package, None  # it did not come from an index, whatever a lock file says
    tags = _tags(package.facts.get("tags", ""))
    named = [each for each in said if each.filename and _good(each)]
    wheels = _fitting([each for each in named if each.filename.endswith(".whl")], tags)  # type: ignore[union-attr]
    if _contradict(wheels):
        files = ", ".join(dict.fromkeys(each.said_by for each in wheels))
        return package, f"{package.name} {package.version}: {files} name different hashes"
    if wheels:
        best = next((each for each in wheels if _public(each.url)), wheels[0])
        return _with_facts(package, best, {"filename": str(best.filename)}), None
    loose = [each for each in said if each.filename is None and _good(each)]
    if loose:
        return _of_unnamed(package, loose), None
    sources = [each for each in named if not str(each.filename).endswith(".whl")]
    if sources and not any(each.filename.endswith(".whl") for each in named):  # type: ignore[union-attr]
        return _built_from(package, sources[0]), None
    return package, None


def _contradict(wheels: Sequence[Statement]) -> bool:
    """Whether two lock files give one file different hashes of one kind."""
    hashes = {str(each.hash) for each in wheels}
    return len({text.partition(":")[0] for text in hashes}) < len(hashes)


def _of_unnamed(package: LockedPackage, said: Sequence[Statement]) -> LockedPackage:
    """One hash is the hash; of several (a wheel for each system) it is one, unknown which."""
    hashes = sorted({str(each.hash) for each in said})
    if len(hashes) == 1:
        return _with_facts(package, said[0], {})
    allowed = {"allowed-hashes": " ".join(hashes), "said-by": said[0].said_by}
    return _changed(package, package.grade, package.url, package.hash, allowed)


def _built_from(package: LockedPackage, source: Statement) -> LockedPackage:
    """No wheel is known: it was built here, from this source as far as the lock file goes."""
    facts = {"sdist-filename": str(source.filename), "said-by": source.said_by}
    facts["sdist-hash"] = str(source.hash)
    if _public(source.url):
        facts["sdist-url"] = str(source.url)
    return _changed(package, package.grade, package.url, package.hash, facts)


def _with_facts(package: LockedPackage, said: Statement, more: Mapping[str, str]) -> LockedPackage:
    facts = {"said-by": said.said_by, **(said.facts or {}), **more}
    if said.hash is None:
        return _changed(package, package.grade, package.url, package.hash, facts)
    if package.hash is not None and package.hash.startswith("record-"):
        facts["record"] = package.hash
    url = said.url if _public(said.url) else None
    grade = Grade.URL_AND_HASH if url else Grade.HASH_ONLY
    return _changed(package, grade, url, said.hash, facts)


def _changed(
    package: LockedPackage,
    grade: Grade,
    url: str | None,
    digest: str | None,
    facts: Mapping[str, str],
) -> LockedPackage:
    return LockedPackage(
        source=package.source,
        name=package.name,
        version=package.version,
        purl=package.purl,
        grade=grade,
        url=url,
        hash=digest,
        facts={**package.facts, **facts},
    )


def _fitting(wheels: Sequence[Statement], tags: frozenset[Tag]) -> list[Statement]:
    """The wheels of these tags; those that share some only when they are one file."""
    by_tags = [(each, _wheel_tags(str(each.filename))) for each in wheels]
    exact = [each for each, own in by_tags if own and own == tags]
    if exact:
        return exact if len({each.filename for each in exact}) == 1 else []
    some = [each for each, own in by_tags if own & tags]
    return some if len({each.filename for each in some}) == 1 else []


def _wheel_tags(filename: str) -> frozenset[Tag]:
    try:
        return parse_wheel_filename(filename)[3]
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return frozenset()


def _tags(text: str) -> frozenset[Tag]:
    found: set[Tag] = set()
    for word in text.split():
        if word.count("-") == 2:
            found |= parse_tag(word)
    return frozenset(found)


def _good(statement: Statement) -> bool:
    return statement.hash is not None and _HASH.fullmatch(statement.hash) is not None


def _public(url: str | None) -> bool:
    """Whether an address may be told: no credentials, no place on the author's machine."""
    return url is not None and _PUBLIC.fullmatch(url) is not None
