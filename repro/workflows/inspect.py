"""``repro inspect``: what an archive holds, from its head alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.model.lock import Lock
from repro.model.recording import Recording
from repro.model.remote_input import RemoteSource
from repro.model.scope import Scope
from repro.model.stability import recorded_probe
from repro.model.usage import Usage
from repro.store.archive import Archive, VersionInfo
from repro.store.contents import Contents
from repro.store.thinned import thin_document
from repro.workflows.origins import summary


def inspect(path: Path, tag: str | None, *, contents: bool = False) -> dict[str, Any]:
    """The document ``repro.inspect/1`` for one version (None: the one added last).

    Reads the head of the file only: blobs of layers are neither read nor checked, which
    the document says (``checked``). With ``contents`` each layer names what weighs in it,
    from the file lists: origin, bytes before compression, number of files.
    """
    with Archive.open(path, thin=True) as archive:
        version = archive.version(tag)
        recording = archive.recording(version)
        lock = Lock.parse(archive.lock_json(version))
        probe = recorded_probe(recording.circumstances)
        return {
            "schema": "repro.inspect/1",
            "archive": {
                "digest": str(version.config_digest),
                "path": str(path),
                "name": recording.claims.name,
                "title": recording.claims.title,
                "tag": version.tag,
                "size": path.stat().st_size,
                "architecture": version.config.architecture,
            },
            "checked": "head only; `repro verify` checks every byte",
            "versions": [
                {"tag": each.tag, "digest": str(each.config_digest)} for each in archive.versions
            ],
            "layers": _layers(version, _contents(archive, version) if contents else {}),
            "thin": _thin(archive, version),
            "root": recording.claims.root,
            "steps": [
                {"name": step.name, "argv": list(step.argv), "cwd": step.cwd,
                 "notebook": step.notebook}
                for step in recording.claims.steps
            ],
            "environment": dict(recording.claims.environment),
            "remote_inputs": [s.to_json() for s in RemoteSource.recorded(recording.circumstances)],
            "outputs": [output.to_json() for output in recording.claims.outputs],
            "pins": {
                "packages": [package.to_json() for package in lock.packages],
                "grades": _grades(lock),
                "skipped": dict(lock.skipped),
            },
            "run": run_facts(recording),
            "host": recording.circumstances.get("host", {}),
            "self_test": recording.circumstances.get("self_test", {}),
            "probe": None if probe is None else probe.to_json(),
            "numerics": recording.circumstances.get("numerics"),
            "not_observed": recording.circumstances.get("not_observed", []),
            "warnings": recording.circumstances.get("warnings", []),
            "secrets": recording.circumstances.get("secrets"),
            "identity": recording.circumstances.get("identity"),
            "anonymous": recording.circumstances.get("anonymous"),
            "left_out": recording.circumstances.get("left_out", []),
            "left_out_reasons": _reasons(recording),
            "left_out_count": recording.circumstances.get("left_out_count"),
            "git": recording.circumstances.get("git"),
            "created": recording.circumstances.get("created"),
        }  # fmt: skip


def bill_of_materials(path: Path, tag: str | None) -> dict[str, Any]:
    """The CycloneDX document of one version. Raises UsageError when it has none."""
    with Archive.open(path, thin=True) as archive:
        return archive.sbom_json(archive.version(tag))


def run_facts(recording: Recording) -> dict[str, Any]:
    """What the author's run used, None where not recorded, and how it was observed."""
    return {
        **Usage.recorded(recording.circumstances.get("steps")).to_json(),
        "tracer": recording.circumstances.get("tracer"),
        "capture": recording.circumstances.get("capture"),
        "scope": recording.circumstances.get("scope", Scope.PACKAGES.value),
        "processes": recording.circumstances.get("processes_count"),
        "files": recording.circumstances.get("files_count"),
    }


def _contents(archive: Archive, version: VersionInfo) -> dict[int, list[dict[str, Any]]]:
    """What weighs in each layer, by its number."""
    places = list(Contents(archive, version).every())
    return {
        number: summary(place for place in places if place.number == number)
        for number in range(1, len(version.layers) + 1)
    }


def _reasons(recording: Recording) -> dict[str, int]:
    """How often each reason was given for leaving something out."""
    counts: dict[str, int] = {}
    for item in recording.circumstances.get("left_out", []):
        if isinstance(item, dict):
            reason = str(item.get("reason"))
            counts[reason] = counts.get(reason, 0) + 1
    return counts


def _layers(
    version: VersionInfo, contents: Mapping[int, list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    return [
        {
            "kind": layer.kind,
            "digest": str(layer.descriptor.digest),
            "diff_id": str(layer.diff_id),
            "size": layer.descriptor.size,
            "uncompressed_size": layer.uncompressed_size,
            "media_type": layer.descriptor.media_type,
            **({"contents": contents[number]} if number in contents else {}),
        }
        for number, layer in enumerate(version.layers, 1)
    ]


def _thin(archive: Archive, version: VersionInfo) -> dict[str, Any] | None:
    """What a thin version lacks, and what is fetched to make it whole; None for a whole one."""
    thin = thin_document(version, archive.read_blob)
    if thin is None:
        return None
    return {
        "whole": {"sha256": thin.fat_sha256, "size": thin.fat_size},
        "layers": [
            {"diff_id": str(each.diff_id), "exact": each.exact, "size": each.size}
            for each in thin.layers
        ],
        "artifacts": [artifact.to_json() for artifact in thin.artifacts],
        "download": thin.download,
        "bytecode": any(layer.compiled for layer in thin.layers),
    }


def _grades(lock: Lock) -> dict[str, int]:
    counts: dict[str, int] = {}
    for package in lock.packages:
        counts[package.grade.value] = counts.get(package.grade.value, 0) + 1
    return counts
