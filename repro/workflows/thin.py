"""``repro thin``: an archive without the bytes that public package registries have."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import zstandard

from repro.errors import ArchiveError, NotWhole, ReproError, StorageError, UsageError
from repro.image.pieces import Piece, Pool
from repro.image.rebuilding import Sources, rebuild
from repro.image.thinning import (
    Compiled,
    Elsewhere,
    ThinnedLayer,
    can_be_thin,
    level_of,
    thin_layer,
    write_recipe,
)
from repro.model.limits import NO_LIMITS, Limits
from repro.model.lock import Lock, LockedPackage
from repro.model.oci import Descriptor, Layer
from repro.model.thin import Part, Thin, ThinArtifact, ThinLayer
from repro.model.thin_media import RECIPE, REST, THIN
from repro.primitives.canonical import dump
from repro.primitives.digest import Digest
from repro.primitives.events import Event, EventKind, Observer, done, silent
from repro.primitives.frames import decompressed
from repro.primitives.frozen import frozen, replace
from repro.primitives.texts import human_size, printable
from repro.runtime.choose import choose
from repro.store.archive import Archive, VersionInfo
from repro.store.blobs import Blobs
from repro.store.cache import Cache
from repro.store.thinned import MARK
from repro.store.turn import turn
from repro.store.versions import Artifact, Version
from repro.store.writer import write_archive
from repro.workflows.places import cache_root, proofs, runs_root, scratch
from repro.workflows.rewriting import carried
from repro.workflows.sealed_bytecode import Job, bytecode_of, compile_sealed, programs_in
from repro.workflows.thin_sources import Published, gather

_SMALLEST = 64 << 10
_WORTH = 0.8
_LEVEL = 3
Entries = list[Mapping[str, Any]]


@frozen
class ThinRequest:
    """``output`` may be the archive itself: it is replaced in one step.

    ``bytecode`` says whether compiled Python files are left out as well; they are compiled
    again in the sandbox, by the archive's own interpreter, for which ``limits`` and
    ``timeout`` (seconds) hold.
    """

    archive: Path
    output: Path
    environ: Mapping[str, str]
    bytecode: bool = True
    engine: str | None = None
    limits: Limits = NO_LIMITS
    timeout: float | None = None


@frozen
class Thinned:
    """A finished thin archive; sizes of files in bytes. ``kept`` says what stays, and why."""

    path: Path
    digest: str
    before: int
    after: int
    thin: Thin | None
    kept: Mapping[str, str]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The document ``repro.thinned/1``."""
        thin = self.thin
        return {
            "schema": "repro.thinned/1",
            "archive": {"path": str(self.path), "digest": self.digest},
            "size": {"before": self.before, "after": self.after},
            "artifacts": len(thin.artifacts) if thin else 0,
            "download": thin.download if thin else 0,
            "layers": [layer.to_json() for layer in thin.layers] if thin else [],
            "kept": dict(self.kept),
            "notes": list(self.notes),
        }


def thin(request: ThinRequest, observer: Observer = silent) -> Thinned:
    """Write ``output``: every version of the archive, its layers taken apart.

    Each layer is made again from what was fetched before anything is written. Raises
    UsageError (it is thin already), ArchiveError, StorageError; a registry that cannot be
    asked leaves its packages in the archive, which is said.
    """
    with (
        turn(request.output, observer) as place,
        _whole(request.archive) as archive,
        scratch(runs_root(request.environ), "thin") as folder,
        Pool(folder) as pool,
    ):
        before = request.archive.stat().st_size
        work = _Work(request, archive, folder, pool, observer)
        try:
            found = work.document(Digest.of_path(request.archive).hex, before)
            work.write(place, found)
        except OSError as error:
            raise StorageError(
                f"no room to take the archive apart: {error.strerror}",
                hint="free some space, or set REPRO_CACHE to a folder on another disk",
            ) from None
        after = place.stat().st_size
        text = f"{printable(request.output.name)} · {human_size(after)} of {human_size(before)}"
        observer(done("thin", text))
        return Thinned(
            path=request.output,
            digest=str(archive.version(None).config_digest),
            before=before,
            after=after,
            thin=found,
            kept=work.published.kept,
            notes=tuple(work.notes),
        )


def _whole(path: Path) -> Archive:
    try:
        return Archive.open(path)
    except NotWhole:
        raise UsageError(
            f"{printable(path.name)} is thin already",
            hint="there is nothing to do: copy it as it is",
        ) from None


class _Work:
    """The layers of one archive on their way."""

    def __init__(
        self,
        request: ThinRequest,
        archive: Archive,
        folder: Path,
        pool: Pool,
        observer: Observer,
    ) -> None:
        self._request = request
        self._archive = archive
        self._folder = folder
        self._pool = pool
        self._observer = observer
        self._blobs_folder = folder / "blobs"
        self._blobs_folder.mkdir()
        self._blobs = Blobs(self._blobs_folder, [archive])
        self._entries: dict[Digest, Entries] = {}
        self._made: dict[Digest, tuple[ThinLayer, Descriptor, Descriptor]] = {}
        self._programs: list[str] = []
        self._numbers: dict[str, dict[str, int]] = {}
        self.notes: list[str] = []
        self.published = Published(self._wanted(), pool)

    def _layers(self) -> dict[Digest, tuple[VersionInfo, Layer]]:
        """Each layer that may be taken apart, with the first version that has it."""
        found: dict[Digest, tuple[VersionInfo, Layer]] = {}
        for version in self._archive.versions:
            for layer in version.layers:
                big = layer.descriptor.size >= _SMALLEST and layer.kind != "data"
                if can_be_thin(layer) and big:
                    found.setdefault(layer.diff_id, (version, layer))
        return found

    def _list(self, version: VersionInfo, layer: Layer) -> Entries:
        if layer.diff_id not in self._entries:
            self._entries[layer.diff_id] = self._archive.file_list(version, layer.diff_id)
        return self._entries[layer.diff_id]

    def _wanted(self) -> dict[str, int]:
        return {
            str(entry["sha256"]): int(entry["size"])
            for version, layer in self._layers().values()
            for entry in self._list(version, layer)
            if "sha256" in entry
        }

    def document(self, fat_sha256: str, fat_size: int) -> Thin | None:
        """Take every layer apart, and make it again; None when nothing is worth it."""
        started = time.monotonic()
        gather(self.published, self._packages(), self._request.environ, self._observer)
        found = len(self.published.artifacts)
        text = f"{found} wheels and Debian packages"
        self._observer(done("fetch", text, time.monotonic() - started))
        cut: dict[Digest, tuple[VersionInfo, Layer, ThinnedLayer, dict[Job, Piece]]] = {}
        for version in self._archive.versions:
            own = [layer for first, layer in self._layers().values() if first is version]
            compiled = self._compile(version, own)
            for layer in own:
                made = self._cut(version, layer, compiled)
                if made is not None:
                    cut[layer.diff_id] = (version, layer, made, compiled)
        used = sorted(
            {
                part.artifact
                for _, _, made, _ in cut.values()
                for part in made.parts
                if part.artifact is not None
            }
        )
        for number, artifact in enumerate(self.published.artifacts):
            if number not in used:
                why = "leaving it out would hardly make its layer smaller"
                self.published.kept[f"{artifact.name} {artifact.version}"] = why
        if not cut:
            return None
        numbers = {old: new for new, old in enumerate(used)}
        artifacts = tuple(self.published.artifacts[old] for old in used)
        for diff_id, (version, layer, made, compiled) in cut.items():
            self._made[diff_id] = self._finish(version, layer, made, compiled, numbers, artifacts)
        return Thin(
            fat_sha256=fat_sha256,
            fat_size=fat_size,
            zstandard=".".join(map(str, zstandard.ZSTD_VERSION)),
            artifacts=artifacts,
            layers=tuple(made[0] for made in self._made.values()),
            programs=tuple(self._programs),
        )

    def _packages(self) -> Sequence[LockedPackage]:
        found: dict[str, LockedPackage] = {}
        for version in self._archive.versions:
            for package in Lock.parse(self._archive.lock_json(version)).packages:
                found.setdefault(f"{package.source} {package.purl}", package)
        return list(found.values())

    def _compile(self, version: VersionInfo, layers: Sequence[Layer]) -> dict[Job, Piece]:
        """Bytecode of these layers as the image's interpreters make it in the sandbox."""
        if not self._request.bytecode:
            return {}
        numbers = self._numbers[version.tag] = self._interpreters(version)
        jobs: dict[Job, None] = {}
        for layer in layers:
            found = bytecode_of(self._list(version, layer), numbers, self.published.members)
            jobs.update(dict.fromkeys(found.values()))
        if not jobs:
            return {}
        started = time.monotonic()
        try:
            sandbox = choose(self._request.engine, proofs(self._request.environ))
            with Cache(cache_root(self._request.environ)) as cache:
                places = cache.layers(self._archive, version, self._observer)
                place = self._folder / f"compile-{version.tag}"
                place.mkdir()
                made = compile_sealed(
                    sandbox, places, self._programs, list(jobs), place, self._pool,
                    self._request.limits, self._request.timeout,
                )  # fmt: skip
        except (StorageError, ArchiveError):
            raise
        except ReproError as error:
            mend = f" ({error.hint})" if error.hint else ""
            self._say(f"compiled Python files stay inside: {error.message}{mend}")
            return {}
        text = f"{len(made)} of {len(jobs)} compiled Python files"
        self._observer(done("bytecode", text, time.monotonic() - started))
        return made

    def _interpreters(self, version: VersionInfo) -> dict[str, int]:
        """Numbers of the version's interpreters by Python's version."""
        entries = [e for layer in version.layers for e in self._list(version, layer)]
        found = {}
        for short, path in programs_in(entries).items():
            if path not in self._programs:
                self._programs.append(path)
            found[short] = self._programs.index(path)
        return found

    def _cut(
        self, version: VersionInfo, layer: Layer, compiled: Mapping[Job, Piece]
    ) -> ThinnedLayer | None:
        """A layer taken apart; None when that saves too little."""
        self._observer(Event(kind=EventKind.PROGRESS, phase="thin", text=layer.kind))
        entries = self._list(version, layer)
        numbers = self._numbers.get(version.tag, {})
        jobs = bytecode_of(entries, numbers, self.published.members)
        bytecode = {
            path: Compiled(
                source=job.source,
                optimize=job.optimize,
                program=job.program,
                piece=compiled[job],
            )
            for path, job in jobs.items()
            if job in compiled
        }
        elsewhere = Elsewhere(members=self.published.members, bytecode=bytecode)
        with self._archive.open_blob(layer.descriptor) as stream:
            made = thin_layer(stream, layer, entries, elsewhere, self._blobs_folder)
        return made if made.rest.size < _WORTH * layer.descriptor.size else None

    def _finish(
        self,
        version: VersionInfo,
        layer: Layer,
        made: ThinnedLayer,
        compiled: Mapping[Job, Piece],
        numbers: Mapping[int, int],
        artifacts: Sequence[ThinArtifact],
    ) -> tuple[ThinLayer, Descriptor, Descriptor]:
        """Write the recipe, and make the layer again from it."""
        parts = tuple(
            part if part.artifact is None else replace(part, artifact=numbers[part.artifact])
            for part in made.parts
        )
        old = {new: number for number, new in numbers.items()}

        def find(part: Part) -> Piece | None:
            if part.artifact is not None:
                return self.published.pieces.get((old[part.artifact], part.member))
            return compiled.get(job_of(part))

        with self._archive.open_blob(layer.descriptor) as stream:
            level = level_of(stream)
        sources = Sources(
            parts=parts,
            rest=lambda: decompressed(self._blobs.open_blob(made.rest), "zstd"),
            pool=self._pool,
            find=find,
            name=lambda part: source_name(part, artifacts),
            entries=self._list(version, layer),
        )
        again = rebuild(sources, layer, level or _LEVEL, self._blobs_folder)
        (self._blobs_folder / again.digest.hex).unlink()
        exact = again.digest == layer.descriptor.digest
        if not exact:
            self._say(
                f"the {layer.kind} layer {layer.diff_id.short} cannot be compressed as it was: "
                "whole again it will have another blob digest, and the same diff_id"
            )
        recipe = write_recipe(layer.diff_id, parts, self._blobs_folder)
        found = ThinLayer(
            diff_id=layer.diff_id,
            digest=layer.descriptor.digest,
            size=layer.descriptor.size,
            level=level or _LEVEL,
            exact=exact,
            recipe=recipe.digest,
            rest=made.rest.digest,
            taken=made.taken,
            compiled=made.compiled,
        )
        return found, recipe, made.rest

    def _say(self, text: str) -> None:
        self.notes.append(text)
        self._observer(Event(kind=EventKind.WARNING, phase="thin", text=text))

    def write(self, place: Path, thin: Thin | None) -> None:
        """The file itself."""
        archive = self._archive
        versions = [
            self._thin_version(version, info, thin) if thin is not None else version
            for version, info in zip(carried(archive.versions), archive.versions, strict=True)
        ]
        readme = archive.readme
        if thin is not None:
            readme = readme_of(thin) + MARK + readme
        write_archive(
            place,
            name=archive.recording(archive.version(None)).claims.name,
            versions=versions,
            blobs=self._blobs,
            readme=readme,
            clamp=archive.clamp,
            observer=self._observer,
        )

    def _thin_version(self, version: Version, info: VersionInfo, thin: Thin) -> Version:
        own = [self._made[each.diff_id] for each in info.layers if each.diff_id in self._made]
        if not own:
            return version
        document = replace(thin, layers=tuple(made[0] for made in own))
        blobs = [self._blobs.describe(dump(document.to_json()), THIN)]
        for _, recipe, rest in own:
            blobs += [each for each in (recipe, rest) if each not in blobs]
        artifact = Artifact(artifact_type=THIN, blobs=tuple(blobs))
        return replace(
            version,
            artifacts=(*version.artifacts, artifact),
            absent=frozenset(made[0].digest for made in own),
        )


def job_of(part: Part) -> Job:
    """What compiles a part that is bytecode."""
    return Job(
        source=part.source or "", optimize=part.optimize, program=part.program, size=part.size
    )


def source_name(part: Part, artifacts: Sequence[ThinArtifact]) -> str:
    """For people: where a part comes from."""
    if part.artifact is not None:
        return f"{artifacts[part.artifact].label}, member {printable(part.member, 120)},"
    return f"{printable(part.source or '', 160)}, compiled in the sandbox,"


def readme_of(thin: Thin) -> str:
    """What a thin archive says of itself to somebody without repro."""
    lines = [
        "This archive is THIN: bytes of its layers that public package registries have are left",
        "out. No engine can load it as it is. To make it whole (it fetches, checks and packs):",
        "  repro fatten FILE -o WHOLE.repro",
        f"The whole file has {thin.fat_size} bytes, sha256 {thin.fat_sha256}.",
        "",
        f"Without repro: the artifact {THIN} (see",
        "index.json) names the files to fetch with their sha256, and for each layer two blobs,",
        f"{RECIPE} and",
        f"{REST}. The recipe lists the parts of the layer's tar in",
        "order: [SIZE] are the next bytes of the rest, [SIZE, N, MEMBER] is that member of file",
        "number N, [SIZE, MODULE, ...] is MODULE compiled by Python without the first 16 bytes.",
        "",
    ]
    return "\n".join(lines)
