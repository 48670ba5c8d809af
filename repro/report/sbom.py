"""The bill of materials: CycloneDX 1.6 JSON (ECMA-424) of what a lock names."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Any

from repro.model.lock import Lock, LockedPackage

_ALGORITHMS = {
    "md5": ("MD5", 32), "sha1": ("SHA-1", 40), "sha256": ("SHA-256", 64),
    "sha384": ("SHA-384", 96), "sha512": ("SHA-512", 128),
}  # fmt: skip
_TYPES = {"interpreter": "platform"}
_PROPERTIES = ("said-by", "record", "snapshot", "filename", "tags", "built", "sdist-url")


def sbom(lock: Lock, *, name: str, architecture: str, clamp: int, version: str) -> dict[str, Any]:
    """The document; the same arguments give the same one (no serial number, no clock).

    ``clamp`` is the time inside it in seconds, ``version`` that of repro. The archive's
    digest is not in it (the artifact's subject names the image): versions with the same
    packages share one bill. What no package owns is not listed: ``compositions`` says
    that the list is not complete.
    """
    time = datetime.datetime.fromtimestamp(clamp, datetime.timezone.utc)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {"components": [{"type": "application", "name": "repro", "version": version}]},
            "component": {
                "type": "container",
                "bom-ref": "archive",
                "name": name,
                "properties": _properties({"architecture": architecture}),
            },
        },
        "components": _components(lock),
        "compositions": [{"aggregate": "incomplete", "assemblies": ["archive"]}],
    }


def _components(lock: Lock) -> list[dict[str, Any]]:
    """One for each package; the same package in two environments is there twice."""
    seen: dict[str, int] = {}
    found = []
    for package in lock.packages:
        seen[package.purl] = count = seen.get(package.purl, 0) + 1
        reference = package.purl if count == 1 else f"{package.purl}#{count}"
        found.append(_component(package, reference))
    return found


def _component(package: LockedPackage, reference: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": _TYPES.get(package.source, "library"),
        "bom-ref": reference,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
    }
    hashes = _hashes(package.hash)
    if package.url is not None:
        found["externalReferences"] = [_reference(package.url, hashes)]
    if hashes:
        found["hashes"] = hashes
    if "license" in package.facts:
        found["licenses"] = [{"license": {"name": package.facts["license"]}}]
    shown = {"source": package.source, "grade": package.grade.value}
    if package.hash is not None and not hashes:
        shown["hash"] = package.hash
    shown.update({key: package.facts[key] for key in _PROPERTIES if key in package.facts})
    found["properties"] = _properties(shown)
    return found


def _reference(url: str, hashes: list[dict[str, str]]) -> dict[str, Any]:
    if url.startswith("git+"):
        place, _, commit = url[4:].rpartition("@")
        return {"type": "vcs", "url": place, "comment": f"commit {commit}"}
    return {"type": "distribution", "url": url, **({"hashes": hashes} if hashes else {})}


def _hashes(text: str | None) -> list[dict[str, str]]:
    """A hash as the format has it; none for kinds that it does not know."""
    kind, _, value = (text or "").partition(":")
    if kind not in _ALGORITHMS:
        return []
    algorithm, length = _ALGORITHMS[kind]
    return (
        [{"alg": algorithm, "content": value}]
        if re.fullmatch(rf"[0-9a-f]{{{length}}}", value)
        else []
    )


def _properties(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": f"repro:{key}", "value": value} for key, value in sorted(values.items())]
