"""``repro log``: the versions of an archive, the newest first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.model.recording import Recording
from repro.primitives.frozen import frozen
from repro.store.archive import Archive
from repro.store.catalog import VersionInfo
from repro.store.lineage import Named, added_bytes, named

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@frozen
class Past:
    """One version with what its recording says; ``created`` is empty where it does not.

    ``added`` are the bytes of the file that it needs beyond all older versions.
    """

    named: Named
    recording: Recording
    created: str
    added: int

    @property
    def tags(self) -> tuple[str, ...]:
        """All its names; the last is the one shown."""
        return self.named.tags

    @property
    def version(self) -> VersionInfo:
        """The entry of its last name."""
        return self.named.version


def history(archive: Archive) -> list[Past]:
    """All versions, oldest first: by the time of their snapshots, then in order of adding."""
    read = [(each, archive.recording(each.version)) for each in named(archive.versions)]
    dated = sorted(((_created(rec), each, rec) for each, rec in read), key=lambda item: item[0])
    added = added_bytes([each.version for _, each, _ in dated], archive.folded_bytes)
    return [
        Past(named=each, recording=recording, created=created, added=size)
        for (created, each, recording), size in zip(dated, added, strict=True)
    ]


def log(path: Path, tag: str | None) -> dict[str, Any]:
    """The document ``repro.log/1``: all versions, or only the one with this tag.

    Reads small documents only; layers are neither read nor checked. Raises UsageError on
    an unknown tag, ArchiveError.
    """
    with Archive.open(path, thin=True) as archive:
        default = archive.version(None)
        wanted = archive.version(tag) if tag is not None else None
        versions = [
            _version(past, default.tag, past.version.tag in archive.folded)
            for past in reversed(history(archive))
            if wanted is None or wanted.tag in past.tags
        ]
        return {
            "schema": "repro.log/1",
            "archive": {"path": str(path), "size": path.stat().st_size, "default": default.tag},
            "versions": versions,
        }


def _version(past: Past, default: str, folded: bool) -> dict[str, Any]:
    facts = past.recording.circumstances
    test = facts.get("self_test")
    return {
        "tag": past.tags[-1],
        "tags": list(past.tags),
        "default": default in past.tags,
        "digest": str(past.version.config_digest),
        "name": past.recording.claims.name,
        "created": past.created or None,
        "added": past.added,
        "folded": folded,
        "outputs": len(past.recording.claims.outputs),
        "git": _git(facts),
        "self_test": _text(test.get("outcome")) if isinstance(test, Mapping) else None,
        "message": _text(facts.get("message")),
    }


def _git(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    git = facts.get("git")
    if not isinstance(git, Mapping):
        return None
    changed = git.get("changed_count")
    return {
        "commit": _text(git.get("commit")),
        "branch": _text(git.get("branch")),
        "changed": changed if isinstance(changed, int) else None,
    }


def _created(recording: Recording) -> str:
    text = recording.circumstances.get("created")
    return text if isinstance(text, str) and _TIME.fullmatch(text) else ""


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
