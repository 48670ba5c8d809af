"""An archive with several versions, each with a changed script, built by the real rooms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from repro.model.entry import FileEntry
from repro.primitives.canonical import CLAMP
from repro.store.archive import Archive
from repro.store.blobs import Blobs
from repro.store.writer import write_archive
from tests.unit.store.archive_sample import ROOT, Sample, build_version, entries, file


def script(content: bytes) -> list[FileEntry]:
    """The sample's files with this ``analysis.py``."""
    kept = [entry for entry in entries() if not entry.path.endswith("/analysis.py")]
    return [*kept, file(f"{ROOT}/analysis.py", content)]


def add_version(path: Path, work: Path, tag: str, **changes: Any) -> Sample:
    """Add a version as a snapshot does."""
    work.mkdir(parents=True, exist_ok=True)
    blobs = Blobs(work)
    sample = build_version(work, blobs, tag=tag, **changes)
    old = Archive.open(path) if path.exists() else None
    kept = [each.as_version() for each in old.versions] if old else []
    write_archive(
        path,
        name="paper",
        versions=[*kept, sample.version],
        blobs=Blobs(others=[blobs, old] if old else [blobs]),
        readme="How to read this file\n",
        clamp=CLAMP,
    )
    if old:
        old.close()
    return sample


def versions(path: Path, work: Path, count: int) -> list[Sample]:
    """``v1`` … with ``print(1)`` …, a day apart."""
    return [
        add_version(
            path,
            work,
            f"v{number}",
            files=script(b"print(%d)\n" % number),
            circumstances={
                "created": f"2024-05-{number:02d}T07:08:09Z",
                "message": f"number {number}",
                "self_test": {"outcome": "identical"},
                "git": {"commit": f"{number:040x}", "branch": "main", "changed_count": number % 2},
            },
        )
        for number in range(1, count + 1)
    ]
