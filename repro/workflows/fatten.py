"""``repro fatten``: a thin archive made whole again, every layer checked by its diff_id."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from repro.errors import ArchiveError, RemoteError, StorageError, UsageError
from repro.image.pieces import Piece, Pool
from repro.image.rebuilding import Rebuilt, Sources, rebuild, unpack_without_bytecode
from repro.model.limits import NO_LIMITS, Limits
from repro.model.oci import ANNOTATION_TOC, COMPRESSION, TOC, Descriptor, Layer
from repro.model.thin import Part, Thin, ThinArtifact, ThinLayer
from repro.model.thin_media import THIN
from repro.pin.members import each_member
from repro.primitives.digest import Digest
from repro.primitives.events import Event, EventKind, Observer, done, silent
from repro.primitives.frames import decompressed
from repro.primitives.frozen import frozen, replace
from repro.primitives.tarread import Limits as TarLimits
from repro.primitives.texts import human_size, printable
from repro.primitives.untar import untar
from repro.runtime.choose import choose
from repro.store.archive import Archive, VersionInfo
from repro.store.beside import hold
from repro.store.blobs import Blobs
from repro.store.thinned import MARK, read_recipe, thin_blob, thin_document
from repro.store.turn import turn
from repro.store.versions import Version
from repro.store.writer import write_archive
from repro.workflows.copies import copies_folder, forget_others, known_tag
from repro.workflows.places import cache_root, proofs, runs_root, scratch
from repro.workflows.recompressed import with_frames
from repro.workflows.rewriting import carried
from repro.workflows.sealed_bytecode import Job, compile_sealed
from repro.workflows.thin import job_of, source_name
from repro.workflows.thin_fetch import fetch_all
from repro.workflows.verify import check_full

RECOMPRESSED = "org.repro.recompressed-from"
"""On a layer whose plain bytes are the same and whose blob could not be had again: the digest
of the blob that it had."""
_LIMITS = TarLimits()


@frozen
class FattenRequest:
    """``folders`` hold wheels and Debian packages and are looked through first; ``offline`` asks
    nobody else. ``limits``, ``full_seal`` and ``timeout`` (seconds) hold for the image's interpreter
    where it compiles."""

    archive: Path
    output: Path
    environ: Mapping[str, str]
    folders: tuple[Path, ...] = ()
    offline: bool = False
    engine: str | None = None
    limits: Limits = NO_LIMITS
    timeout: float | None = None
    full_seal: bool = False


@frozen
class Fattened:
    """A whole archive. ``same`` when it is, byte for byte, the one that was made thin.

    ``fetched`` bytes came over the network; ``recompressed`` are layers whose blobs have other
    digests than before (their diff_ids have not).
    """

    path: Path
    digest: str
    size: int
    fetched: int
    same: bool
    recompressed: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The document ``repro.fattened/1``."""
        return {
            "schema": "repro.fattened/1",
            "archive": {"path": str(self.path), "digest": self.digest},
            "size": self.size,
            "fetched": self.fetched,
            "same_file": self.same,
            "recompressed": list(self.recompressed),
        }


def fatten(request: FattenRequest, observer: Observer = silent) -> Fattened:
    """Fetch what is missing, make every layer again, write the whole archive to ``output``.

    Raises UsageError (it is whole already), RemoteError (thin-missing: what cannot be had),
    ArchiveError (thin-mismatch, naming file and package: a layer does not become what its
    diff_id says), RuntimeUnavailable and RerunFailed (bytecode needs the sandbox), StorageError.
    Nothing is written then.
    """
    with (
        Archive.open(request.archive, thin=True) as archive,
        turn(request.output, observer) as place,
        scratch(runs_root(request.environ), "fatten") as folder,
        Pool(folder) as pool,
    ):
        if not archive.omitted:
            raise UsageError(f"{printable(request.archive.name)} is whole already")
        work = _Work(request, archive, folder, pool, observer)
        try:
            work.fetch()
            work.layers()
            same = work.write(place)
        except OSError as error:
            raise StorageError(
                f"no room to make the archive whole: {error.strerror}",
                hint="free some space, or set REPRO_CACHE to a folder on another disk",
            ) from None
        size = place.stat().st_size
        text = f"{printable(request.output.name)} · {human_size(size)}"
        observer(done("fatten", text))
        return Fattened(
            path=request.output,
            digest=str(archive.version(None).config_digest),
            size=size,
            fetched=work.fetched,
            same=same,
            recompressed=tuple(sorted(str(each) for each in work.recompressed)),
        )


def whole_copy(
    path: Path,
    environ: Mapping[str, str],
    observer: Observer = silent,
    *,
    engine: str | None = None,
    limits: Limits = NO_LIMITS,
    full_seal: bool = False,
) -> Path:
    """The archive itself when it is whole, else a whole one made of it in this user's cache.

    It is known by the thin file's own bytes. Whoever verifies a stranger's archive under limits
    has its interpreter compile under the same ones. Raises what ``fatten`` raises.
    """
    with Archive.open(path, thin=True) as archive:
        if not archive.omitted:
            return path
    name = Digest.of_path(path).hex
    folder = copies_folder(cache_root(environ), "fattened")
    place = folder / f"{name}.repro"
    if known_tag(place) is not None:
        hold(place)
        return place
    fatten(
        FattenRequest(
            archive=path, output=place, environ=environ, engine=engine, limits=limits,
            full_seal=full_seal,
        ),
        observer,
    )  # fmt: skip
    hold(place)
    forget_others(folder, place)
    return place


@frozen
class _Missing:
    """A layer to be made again, and the first version that has it."""

    version: VersionInfo
    layer: Layer
    thin: Thin
    what: ThinLayer
    parts: tuple[Part, ...]


class _Work:
    def __init__(
        self,
        request: FattenRequest,
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
        self._made_folder = folder / "blobs"
        self._made_folder.mkdir()
        self._blobs = Blobs(self._made_folder, [archive])
        self._missing = list(self._read())
        self._pieces: dict[tuple[str, str], Piece] = {}
        self._bytecode: dict[tuple[str, Job], Piece] = {}
        self._rebuilt: dict[Digest, Rebuilt] = {}
        self.fetched = 0
        self.recompressed: list[Digest] = []

    def _read(self) -> Iterator[_Missing]:
        """Recipes of all layers that are not there. Raises ArchiveError."""
        seen: set[Digest] = set()
        self._thin: dict[str, Thin] = {}
        for version in self._archive.versions:
            thin = thin_document(version, self._archive.read_blob)
            if thin is None:
                continue
            self._thin[version.tag] = thin
            named = {each.diff_id: each for each in thin.layers}
            for layer in version.layers:
                absent = layer.descriptor.digest in self._archive.omitted
                if not absent or layer.diff_id in seen:
                    continue
                what = named.get(layer.diff_id)
                if what is None:
                    raise ArchiveError(
                        f"the {layer.kind} layer of {version.tag} is missing, and the thin "
                        "archive does not say how to get it",
                        slug="archive-thin-recipe",
                    )
                seen.add(layer.diff_id)
                parts = read_recipe(version, thin, what, layer, self._archive.read_blob)
                found = _Missing(version=version, layer=layer, thin=thin, what=what, parts=parts)
                _check_ratio(found)
                yield found

    def fetch(self) -> None:
        """Every artifact that a recipe names, its members into the pool."""
        wanted: dict[str, tuple[ThinArtifact, dict[str, int]]] = {}
        for each in self._missing:
            for part in each.parts:
                if part.artifact is not None:
                    artifact = each.thin.artifacts[part.artifact]
                    _, members = wanted.setdefault(artifact.sha256, (artifact, {}))
                    members[part.member] = max(members.get(part.member, 0), part.size)
        artifacts = [artifact for artifact, _ in wanted.values()]
        started = time.monotonic()

        def use(number: int, stream: BinaryIO) -> None:
            artifact = artifacts[number]
            self._take(artifact, wanted[artifact.sha256][1], stream)

        self.fetched = fetch_all(
            artifacts,
            use,
            folders=self._request.folders,
            environ=self._request.environ,
            offline=self._request.offline,
            observer=self._observer,
        )
        text = f"{len(artifacts)} wheels and Debian packages, {human_size(self.fetched)} fetched"
        self._observer(done("fetch", text, time.monotonic() - started))

    def _take(self, artifact: ThinArtifact, members: Mapping[str, int], stream: BinaryIO) -> None:
        """The members that are wanted, none larger than it is said to be."""
        if stream.seek(0, os.SEEK_END) != artifact.size:
            raise RemoteError(
                f"{artifact.label} has another size than the thin archive says", slug="thin-missing"
            )
        stream.seek(0)

        def take(name: str, size: int, pieces: Iterator[bytes] | Iterator[memoryview]) -> None:
            if members.get(name) == size:
                piece = self._pool.add(pieces)
                if piece is not None:
                    self._pieces[artifact.sha256, name] = piece

        each_member(artifact.kind, stream, take)

    def layers(self) -> None:
        """All layers, version by version; bytecode first where a layer needs it."""
        for version in self._archive.versions:
            own = [each for each in self._missing if each.version is version]
            jobs = {
                job_of(part): None for each in own for part in each.parts if part.source is not None
            }
            if jobs:
                self._compile(version, list(jobs), own[0].thin.programs)
            for each in own:
                self._rebuild(each)

    def _compile(self, version: VersionInfo, jobs: Sequence[Job], programs: Sequence[str]) -> None:
        """Compile in the image as far as it is there: all but the bytecode."""
        started = time.monotonic()
        sandbox = choose(self._request.engine, proofs(self._request.environ))
        limits = self._request.limits
        if self._request.full_seal:
            check_full(sandbox.seal("none", limits))
        place = self._folder / f"compile-{version.tag}"
        place.mkdir()
        missing = {each.layer.diff_id: each for each in self._missing}
        folders = []
        for number, layer in enumerate(version.layers):
            target = place / f"layer-{number}"
            target.mkdir()
            folders.append(target)
            if layer.diff_id in missing:
                sources = self._sources(missing[layer.diff_id])
                unpack_without_bytecode(sources, target, _LIMITS)
            else:
                form = COMPRESSION[layer.descriptor.media_type]
                with self._archive.open_blob(layer.descriptor) as stream:
                    untar(stream, form, target, layer.diff_id, _LIMITS)
        run = place / "run"
        run.mkdir()
        made = compile_sealed(
            sandbox, folders, programs, jobs, run, self._pool, limits, self._request.timeout
        )
        for job, piece in made.items():
            self._bytecode[version.tag, job] = piece
        lost = [job for job in jobs if job not in made]
        if lost:
            raise ArchiveError(
                f"{printable(lost[0].source)} does not compile to what the layer holds"
                + (f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""),
                hint="ask for the whole archive, or one made with `repro thin --keep-bytecode`",
                slug="thin-mismatch",
            )
        text = f"{len(made)} compiled Python files"
        self._observer(done("bytecode", text, time.monotonic() - started))

    def _sources(self, each: _Missing) -> Sources:
        rest = thin_blob(each.version, each.what.rest)
        return Sources(
            parts=each.parts,
            rest=lambda: decompressed(self._archive.open_blob(rest), "zstd"),
            pool=self._pool,
            find=partial(self._find, each),
            name=lambda part: source_name(part, each.thin.artifacts),
            entries=self._archive.file_list(each.version, each.layer.diff_id),
        )

    def _find(self, each: _Missing, part: Part) -> Piece | None:
        if part.artifact is not None:
            return self._pieces.get((each.thin.artifacts[part.artifact].sha256, part.member))
        return self._bytecode.get((each.version.tag, job_of(part)))

    def _rebuild(self, each: _Missing) -> None:
        self._observer(Event(kind=EventKind.PROGRESS, phase="fatten", text=each.layer.kind))
        made = rebuild(self._sources(each), each.layer, each.what.level, self._made_folder)
        self._rebuilt[each.layer.diff_id] = made
        if made.digest != each.layer.descriptor.digest:
            self.recompressed.append(each.layer.diff_id)
            text = (
                f"the {each.layer.kind} layer has its diff_id again, but not its blob digest: "
                "this zstandard compresses otherwise"
            )
            self._observer(Event(kind=EventKind.WARNING, phase="fatten", text=text))

    def write(self, place: Path) -> bool:
        """The whole file; whether it is the one that was made thin."""
        archive = self._archive
        versions = [
            self._whole(version, info)
            for version, info in zip(carried(archive.versions), archive.versions, strict=True)
        ]
        write_archive(
            place,
            name=archive.recording(archive.version(None)).claims.name,
            versions=versions,
            blobs=self._blobs,
            readme=archive.readme.partition(MARK)[2] or archive.readme,
            clamp=archive.clamp,
            observer=self._observer,
        )
        found = Digest.of_path(place).hex
        return any(thin.fat_sha256 == found for thin in self._thin.values())

    def _whole(self, version: Version, info: VersionInfo) -> Version:
        """A version with its layers, without what it said of their lack."""
        artifacts = tuple(a for a in version.artifacts if a.artifact_type != THIN)
        layers = list(version.layers)
        replaced: dict[str, Descriptor] = {}
        for number, layer in enumerate(layers):
            made = self._rebuilt.get(layer.diff_id)
            if made is None or made.digest == layer.descriptor.digest:
                continue
            listed, toc = with_frames(self._archive, info, layer, made.frames, self._blobs)
            replaced[listed] = toc
            annotations = {
                **layer.descriptor.annotations,
                ANNOTATION_TOC: str(toc.digest),
                RECOMPRESSED: str(layer.descriptor.digest),
            }
            descriptor = replace(
                layer.descriptor, digest=made.digest, size=made.size, annotations=annotations
            )
            layers[number] = replace(layer, descriptor=descriptor)
        if replaced:
            artifacts = tuple(
                replace(a, blobs=tuple(replaced.get(str(blob.digest), blob) for blob in a.blobs))
                if a.artifact_type == TOC
                else a
                for a in artifacts
            )
        return replace(version, artifacts=artifacts, layers=tuple(layers))


def _check_ratio(each: _Missing) -> None:
    """Refuse a recipe that makes far more bytes than it is made from, as a layer would be."""
    used = {part.artifact for part in each.parts if part.artifact is not None}
    given = thin_blob(each.version, each.what.rest).size
    given += sum(each.thin.artifacts[number].size for number in used)
    most = min(max(_LIMITS.floor, _LIMITS.ratio * given), _LIMITS.total)
    if each.layer.uncompressed_size > most:
        raise ArchiveError(
            f"a {each.layer.kind} layer is to become "
            f"{human_size(each.layer.uncompressed_size)}, more than {_LIMITS.ratio} times what it "
            "is made from",
            slug="archive-limit",
        )
