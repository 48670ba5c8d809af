"""A small archive, built by the real rooms, for tests of the store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.compare.memory import MemoryOutput
from repro.image.build import BuiltLayer, build_layer, build_results_layer
from repro.image.plan import plan_layers
from repro.model.entry import EntryType, FileEntry, LayerKind
from repro.model.lock import Lock
from repro.model.oci import (
    CIRCUMSTANCES,
    CLAIMS,
    LABEL_CLAIMS,
    LABEL_SCHEMA,
    LOCK,
    RECORDING,
    TOC,
    ImageConfig,
)
from repro.model.recording import Claims, Output
from repro.model.step import Step
from repro.primitives.canonical import CLAMP, CLAMP_TEXT, dump
from repro.primitives.digest import Digest
from repro.store.blobs import Blobs
from repro.store.versions import Artifact, Version
from repro.store.writer import write_archive

ROOT = "/home/ada/paper"


OUTPUTS = {
    "results/fit.csv": MemoryOutput(b"slope,intercept\n0.5,1.25\n"),
    "results/latest": MemoryOutput(b"fit.csv", link=True),
    "figure.png": MemoryOutput(bytes(range(256)) * 40),
    "empty": MemoryOutput(b""),
}


def file(path: str, content: bytes, kind: LayerKind = LayerKind.CODE, **more: Any) -> FileEntry:
    more.setdefault("origin", "project")
    return FileEntry(
        path=path, type=EntryType.FILE, kind=kind, content=content, size=len(content), **more
    )


def folder(path: str, kind: LayerKind = LayerKind.CODE) -> FileEntry:
    return FileEntry(path=path, type=EntryType.FOLDER, kind=kind, origin="project")


def symlink(path: str, target: str, kind: LayerKind = LayerKind.CODE) -> FileEntry:
    return FileEntry(path=path, type=EntryType.SYMLINK, kind=kind, origin="project", target=target)


def entries() -> list[FileEntry]:
    return [
        file("/bin/tool", b"#!/bin/sh\n", LayerKind.BASE, mode=0o755, origin="deb:tool"),
        symlink("/bin/also", "tool", LayerKind.BASE),
        file("/usr/lib/python/pkg.py", b"x = 1\n" * 3000, LayerKind.PACKAGES, group="pkg 1.0"),
        file(f"{ROOT}/analysis.py", b"print(1)\n"),
        file(f"{ROOT}/data/table.csv", b"a,b\n1,2\n" * 500, LayerKind.DATA),
        folder(f"{ROOT}/results"),
    ]


@dataclass(frozen=True)
class Sample:
    version: Version
    layers: tuple[BuiltLayer, ...]
    claims: bytes


def sample_claims(name: str) -> Claims:
    outputs = tuple(
        Output(path=path, size=out.size, digest=out.digest, link=out.link)
        for path, out in sorted(OUTPUTS.items())
    )
    return Claims(
        name=name,
        root=ROOT,
        steps=(Step(name="analysis", argv=("python3", "analysis.py")),),
        environment={"HOME": "/home/ada", "PATH": "/bin"},
        outputs=outputs,
    )


def build_version(
    folder: Path, blobs: Blobs, *, name: str = "paper", tag: str = "latest", **changes: Any
) -> Sample:
    files = changes.get("files") or entries()
    built = tuple(build_layer(plan, folder, clamp=CLAMP) for plan in plan_layers(files))
    results = build_results_layer(OUTPUTS, folder, clamp=CLAMP)
    claims = dump(sample_claims(name).to_json())
    config = ImageConfig(
        architecture="amd64",
        env=("HOME=/home/ada", "PATH=/bin"),
        cmd=("python3", "analysis.py"),
        working_dir=ROOT,
        labels={LABEL_SCHEMA: changes.get("schema", "1"), LABEL_CLAIMS: str(Digest.of(claims))},
        diff_ids=tuple(each.layer.diff_id for each in built),
        history=tuple(each.layer.kind for each in built),
        created=CLAMP_TEXT,
    )
    circumstances = dump(
        {
            "schema": "repro.circumstances/1",
            "created": "2024-05-06T07:08:09Z",
            **changes.get("circumstances", {}),
        }
    )
    lock = dump(changes.get("lock", Lock(packages=())).to_json())
    artifacts = (
        Artifact(
            artifact_type=RECORDING,
            blobs=(
                blobs.describe(changes.get("claims", claims), CLAIMS),
                blobs.describe(circumstances, CIRCUMSTANCES),
                results.layer.descriptor,
            ),
        ),
        Artifact(artifact_type=LOCK, blobs=(blobs.describe(lock, LOCK),)),
        Artifact(artifact_type=TOC, blobs=tuple(each.toc for each in built)),
    )
    version = Version(
        tag=tag,
        config=config.to_bytes(),
        layers=tuple(each.layer for each in built),
        artifacts=artifacts,
    )
    return Sample(version=version, layers=built, claims=claims)


def make_archive(path: Path, work: Path, **changes: Any) -> Sample:
    work.mkdir(parents=True, exist_ok=True)
    blobs = Blobs(work)
    sample = build_version(work, blobs, **changes)
    write_archive(
        path,
        name=changes.get("name", "paper"),
        versions=[sample.version],
        blobs=blobs,
        readme="How to read this file\n",
        clamp=CLAMP,
    )
    return sample
