"""Archives made of a wheel's files and a package's, thin ones of them, and tampered thin ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import zstandard

from repro.model.entry import FileEntry, LayerKind
from repro.model.lock import Grade, Lock, LockedPackage
from repro.model.oci import Descriptor
from repro.model.thin_media import RECIPE, THIN
from repro.primitives.canonical import dump, load
from repro.store.archive import Archive
from repro.store.blobs import Blobs
from repro.store.versions import Artifact, Version
from repro.store.writer import write_archive
from repro.workflows.fatten import Fattened, FattenRequest, fatten
from repro.workflows.thin import Thinned, ThinRequest, thin
from tests.package_files import Index, wheel_files, zipped
from tests.unit.store.archive_sample import ROOT, file, make_archive

VENV = "/home/ada/venv"
SITE = f"{VENV}/lib/python3.11/site-packages"
NAME = "num-1.0-py3-none-any.whl"
BLOB = random.Random(7).randbytes(300_000)
CODE = b"def value():\n    return 41\n" * 40
WHEEL = wheel_files("num", "1.0", {"num/__init__.py": CODE, "num/lib.so": BLOB})

Change = Callable[[dict[str, Any]], None]


def pin(name: str = "num", version: str = "1.0", source: str = "pip", **more: Any) -> LockedPackage:
    kind = {"apt": "deb/debian", "pip": "pypi", "r": "cran"}.get(source, "generic")
    end = "?arch=all" if source == "apt" else ""
    return LockedPackage(
        source=source, name=name, version=version, purl=f"pkg:{kind}/{name}@{version}{end}",
        grade=Grade.NAME_ONLY, **more,
    )  # fmt: skip


def bare(folder: Path) -> dict[str, str]:
    """Variables under which there is no apt, and no setting of this machine."""
    return {"HOME": str(folder), "PATH": str(folder), "PIP_CONFIG_FILE": "/dev/null"}


def pack_as_laid(
    archive: Path, work: Path, files: Mapping[str, bytes], *more: FileEntry,
    packages: tuple[LockedPackage, ...],
) -> None:  # fmt: skip
    """An archive that holds ``files`` in its layer of packages, and a lock of ``packages``."""
    entries = [file(path, data, LayerKind.PACKAGES) for path, data in files.items()]
    make_archive(archive, work, files=[*entries, *more], lock=Lock(packages=packages))


class ThinLab:
    """``index`` has the wheel; the archive holds its files as pip lays them."""

    def __init__(self, folder: Path, index: Index) -> None:
        self.folder = folder
        self.index = index
        self.fat = folder / "fat.repro"
        self.thin = folder / "thin.repro"
        self.whole = folder / "whole.repro"
        self.environ = {
            **bare(folder), "PIP_INDEX_URL": index.url, "REPRO_CACHE": str(folder / "cache"),
        }  # fmt: skip
        index.add(NAME, zipped(WHEEL))

    def make(
        self,
        *more: FileEntry,
        changed: Mapping[str, bytes] | None = None,
        packages: tuple[LockedPackage, ...] = (pin(),),
    ) -> None:
        """The whole archive."""
        files = {**{f"{SITE}/{n}": data for n, data in WHEEL.items()}, **(changed or {})}
        script = file(f"{ROOT}/analysis.py", b"print(1)\n")
        pack_as_laid(self.fat, self.folder / "work", files, script, *more, packages=packages)

    def make_thin(self, **more: Any) -> Thinned:
        return thin(ThinRequest(archive=self.fat, output=self.thin, environ=self.environ, **more))

    def make_whole(self, **more: Any) -> Fattened:
        return fatten(
            FattenRequest(archive=self.thin, output=self.whole, environ=self.environ, **more)
        )

    def tamper(self, change: Change | None = None, recipe: Change | None = None) -> None:
        """Write the thin archive again with another thin document, or another recipe."""
        with Archive.open(self.thin, thin=True) as archive:
            info = archive.version(None)
            version = info.as_version()
            blobs = Blobs(others=[archive])
            artifacts = []
            for artifact in version.artifacts:
                if artifact.artifact_type == THIN:
                    artifact = _other(artifact, archive, blobs, change, recipe)
                artifacts.append(artifact)
            other: Version = replace(version, artifacts=tuple(artifacts), absent=archive.omitted)
            beside = self.thin.with_suffix(".beside")
            write_archive(
                beside, name="paper", versions=[other], blobs=blobs, readme=archive.readme,
                clamp=archive.clamp,
            )  # fmt: skip
        beside.replace(self.thin)


def _other(
    artifact: Artifact,
    archive: Archive,
    blobs: Blobs,
    change: Change | None,
    recipe: Change | None,
) -> Artifact:
    documents: dict[str, Descriptor] = {}
    for blob in artifact.blobs:
        if blob.media_type == RECIPE and recipe is not None:
            plain = zstandard.ZstdDecompressor().decompress(archive.read_blob(blob))
            document = load(plain, "recipe")
            recipe(document)
            packed = zstandard.ZstdCompressor().compress(dump(document))
            documents[str(blob.digest)] = blobs.describe(packed, RECIPE)
    found = [documents.get(str(blob.digest), blob) for blob in artifact.blobs]
    document = load(archive.read_blob(artifact.blobs[0]), "thin")
    for layer in document["layers"]:
        new = documents.get(layer["recipe"])
        layer["recipe"] = str(new.digest) if new else layer["recipe"]
    if change is not None:
        change(document)
    return replace(artifact, blobs=(blobs.describe(dump(document), THIN), *found[1:]))
