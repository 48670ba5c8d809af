"""From index.json to versions: every document parsed, every reference accounted for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from repro.errors import ArchiveError
from repro.model.entry import LayerKind
from repro.model.oci import (
    ANNOTATION_KIND,
    ANNOTATION_TOC,
    ANNOTATION_USIZE,
    CIRCUMSTANCES,
    CLAIMS,
    CONFIG,
    EMPTY,
    INDEX,
    LABEL_SCHEMA,
    LAYERS,
    LOCK,
    MANIFEST,
    REF_NAME,
    RESULTS,
    SBOM,
    SCHEMA,
    TAG,
    TOC,
    Descriptor,
    ImageConfig,
    Layer,
    Manifest,
    mapping,
    sequence,
)
from repro.primitives.canonical import load
from repro.primitives.digest import Digest
from repro.primitives.frozen import frozen
from repro.primitives.tarread import Limits as TarLimits
from repro.primitives.texts import human_size, printable
from repro.store import documents
from repro.store.versions import Artifact, Version

ReadBlob = Callable[[Descriptor, str], bytes]
"""Reads a verified blob; the text says what it is, for errors."""

_MAX_LAYERS = 127
_MANIFEST = "the manifest"
_CONFIG = "the image config"
_ARTIFACT = "an artifact manifest"
_KINDS = frozenset(kind.value for kind in LayerKind)
_NAMES = {
    CLAIMS: "the claims",
    CIRCUMSTANCES: "the circumstances",
    RESULTS: "the recorded results",
    LOCK: "the lock",
    TOC: "a file list",
    SBOM: "the bill of materials",
}


@frozen
class ArtifactInfo:
    """An artifact of a version: its manifest and the descriptor that names it."""

    descriptor: Descriptor
    manifest: Manifest

    def blob(self, media_type: str) -> Descriptor | None:
        """Its only blob of this media type; None without one. Raises ArchiveError on two."""
        found = [layer for layer in self.manifest.layers if layer.media_type == media_type]
        if len(found) > 1:
            _refuse(f"the recording has {_NAMES.get(media_type, 'a blob')} twice")
        return found[0] if found else None


@frozen
class VersionInfo:
    """One version of an archive. ``config_digest`` is its identity; layers lowest first."""

    tag: str
    descriptor: Descriptor
    manifest: Manifest
    config: ImageConfig
    config_bytes: bytes
    layers: tuple[Layer, ...]
    artifacts: tuple[ArtifactInfo, ...]

    @property
    def config_digest(self) -> Digest:
        """The digest of the image config."""
        return self.manifest.config.digest

    @property
    def manifest_digest(self) -> Digest:
        """The digest of the image manifest (changes when layers are recompressed)."""
        return self.descriptor.digest

    def artifact(self, artifact_type: str) -> ArtifactInfo | None:
        """The artifact of this type; None without one."""
        for artifact in self.artifacts:
            if artifact.descriptor.artifact_type == artifact_type:
                return artifact
        return None

    def as_version(self) -> Version:
        """The same version for the writer, to carry it into another archive."""
        return Version(
            tag=self.tag,
            config=self.config_bytes,
            layers=self.layers,
            artifacts=tuple(
                Artifact(
                    artifact_type=artifact.descriptor.artifact_type or "",
                    blobs=artifact.manifest.layers,
                )
                for artifact in self.artifacts
            ),
        )


def newer_schema(layout: bytes, index: bytes, read: ReadBlob) -> str | None:
    """What shows that a newer repro wrote this, or None; looks without judging the rest."""
    try:
        version = mapping(load(layout, "oci-layout"), "oci-layout").get("imageLayoutVersion")
        if version != "1.0.0":
            return f"image layout {printable(str(version), 40)}"
        listed = mapping(load(index, "index.json"), "index.json").get("manifests")
        for value in sequence(listed, "manifests")[:256]:
            descriptor = Descriptor.parse(value, "index.json")
            if descriptor.artifact_type is not None:
                continue
            manifest = Manifest.parse(load(read(descriptor, _MANIFEST), "manifest"))
            config = ImageConfig.parse(load(read(manifest.config, _CONFIG), "image config"))
            label = config.labels.get(LABEL_SCHEMA, "")
            if label.isdecimal() and len(label) < 10 and int(label) > SCHEMA:
                return f"schema {label}"
    except ArchiveError:
        return None  # damaged or foreign: the strict reading says what is wrong
    return None


def read_index(data: bytes) -> list[Descriptor]:
    """The descriptors of index.json. Raises ArchiveError on anything the writer never writes."""
    document = mapping(load(data, "index.json"), "index.json")
    listed = sequence(document.get("manifests"), "index.json manifests")
    found = [
        Descriptor.parse(value, f"index.json manifests[{number}]")
        for number, value in enumerate(listed)
    ]
    if documents.index_json(found) != data or document.get("mediaType") != INDEX:
        _refuse("index.json holds something that is not accepted")
    check_entries(found)
    return found


def check_entries(entries: Sequence[Descriptor]) -> None:
    """Refuse entries of an index that are neither a tagged image nor a bare artifact."""
    for descriptor in entries:
        tagged = set(descriptor.annotations) == {REF_NAME} and descriptor.platform is not None
        bare = not descriptor.annotations and descriptor.platform is None
        artifact = descriptor.artifact_type is not None
        if descriptor.media_type != MANIFEST or not (bare if artifact else tagged):
            _refuse("index.json holds an entry that is not accepted")


def read_versions(index: Sequence[Descriptor], read: ReadBlob) -> tuple[VersionInfo, ...]:
    """The versions of an archive in order. Raises ArchiveError; ``read`` verifies.

    What follows an image in the index, up to the next image, is that version's own: two
    versions may be one image with two recordings, or one under two names.
    """
    groups: list[tuple[Descriptor, list[ArtifactInfo]]] = []
    for descriptor in index:
        if descriptor.artifact_type is None:
            groups.append((descriptor, []))
            continue
        artifact = _artifact(descriptor, read)
        subject = artifact.manifest.subject
        if not groups or subject is None or subject.digest != groups[-1][0].digest:
            _refuse("an artifact belongs to no version")
        groups[-1][1].append(artifact)
    versions = [_version(image, tuple(own), read) for image, own in groups]
    tags = [version.tag for version in versions]
    if not tags or len(set(tags)) != len(tags):
        _refuse("index.json has no version" if not tags else "index.json has one tag twice")
    return tuple(versions)


def _artifact(descriptor: Descriptor, read: ReadBlob) -> ArtifactInfo:
    manifest = Manifest.parse(load(read(descriptor, _ARTIFACT), "artifact manifest"))
    if manifest.artifact_type != descriptor.artifact_type or manifest.subject is None:
        _refuse("an artifact manifest does not match its descriptor")
    if manifest.config.media_type != EMPTY:
        _refuse("an artifact manifest has a config")
    return ArtifactInfo(descriptor=descriptor, manifest=manifest)


def _version(
    descriptor: Descriptor, artifacts: tuple[ArtifactInfo, ...], read: ReadBlob
) -> VersionInfo:
    tag = descriptor.annotations[REF_NAME]
    if not TAG.fullmatch(tag):
        _refuse(f"'{printable(tag, 80)}' is no valid tag")
    manifest = Manifest.parse(load(read(descriptor, _MANIFEST), "manifest"))
    if manifest.artifact_type is not None or manifest.config.media_type != CONFIG:
        _refuse(f"the manifest of {tag} has another media type than its descriptor says")
    data = read(manifest.config, _CONFIG)
    config = ImageConfig.parse(load(data, "image config"))
    if config.labels.get(LABEL_SCHEMA) != str(SCHEMA):
        _refuse(f"the image of {tag} was not made by repro (no label {LABEL_SCHEMA})")
    if descriptor.platform != {"architecture": config.architecture, "os": "linux"}:
        _refuse(f"index.json and the config of {tag} name different platforms")
    return VersionInfo(
        tag=tag,
        descriptor=descriptor,
        manifest=manifest,
        config=config,
        config_bytes=data,
        layers=_layers(tag, manifest, config),
        artifacts=artifacts,
    )


def _layers(tag: str, manifest: Manifest, config: ImageConfig) -> tuple[Layer, ...]:
    if len(manifest.layers) != len(config.diff_ids):
        _refuse(f"{tag} has {len(manifest.layers)} layers but {len(config.diff_ids)} diff_ids")
    if len(manifest.layers) > _MAX_LAYERS:
        _refuse(f"{tag} has more than {_MAX_LAYERS} layers")
    return tuple(
        _layer(number, descriptor, diff_id)
        for number, (descriptor, diff_id) in enumerate(
            zip(manifest.layers, config.diff_ids, strict=True), 1
        )
    )


def _layer(number: int, descriptor: Descriptor, diff_id: Digest) -> Layer:
    size = descriptor.annotations.get(ANNOTATION_USIZE, "")
    kind = descriptor.annotations.get(ANNOTATION_KIND, "")
    if descriptor.media_type not in LAYERS:
        shown = printable(descriptor.media_type, 80)
        _refuse(f"layer {number} has the media type '{shown}'")
    if not size.isdecimal() or not size.isascii() or len(size) > 15 or kind not in _KINDS:
        _refuse(f"layer {number} lacks its kind or its size")
    _check_size(number, descriptor, int(size), kind)
    return Layer(descriptor=descriptor, diff_id=diff_id, uncompressed_size=int(size), kind=kind)


def _check_size(number: int, descriptor: Descriptor, size: int, kind: str) -> None:
    """What cannot be unpacked within the limits is refused before it is begun."""
    limits = TarLimits()
    if size > limits.total or size > max(limits.floor, limits.ratio * descriptor.size):
        raise ArchiveError(
            f"layer {number} ({kind}) says to unpack from {human_size(descriptor.size)} to "
            f"{human_size(size)}",
            slug="archive-limit",
        )


def layer_list(version: VersionInfo, layer: Layer) -> Descriptor:
    """The descriptor of a layer's file list (TOC). Raises ArchiveError without one."""
    wanted = layer.descriptor.annotations.get(ANNOTATION_TOC)
    for artifact in version.artifacts:
        for blob in artifact.manifest.layers:
            if blob.media_type == TOC and str(blob.digest) == wanted:
                return blob
    _refuse(f"a {layer.kind} layer has no file list")


def references(version: VersionInfo) -> Iterator[tuple[str, Descriptor]]:
    """Every blob a version refers to, with what it is for people."""
    yield _MANIFEST, version.descriptor
    yield _CONFIG, version.manifest.config
    for number, layer in enumerate(version.layers, 1):
        yield f"layer {number} ({layer.kind})", layer.descriptor
    for artifact in version.artifacts:
        yield _ARTIFACT, artifact.descriptor
        yield "the empty config", artifact.manifest.config
        for blob in artifact.manifest.layers:
            yield _NAMES.get(blob.media_type, "an artifact's blob"), blob


def check_manifest_json(data: bytes, versions: Sequence[VersionInfo]) -> None:
    """Refuse a manifest.json that shows engines another image than index.json does."""
    listed = sequence(load(data, "manifest.json"), "manifest.json")
    name = _docker_name(listed[0] if listed else None)
    tagged = [documents.tagged(version.tag, version.manifest) for version in versions]
    if name is None or documents.manifest_json(name, tagged) != data:
        _refuse("manifest.json does not match index.json")


def _docker_name(entry: Any) -> str | None:
    tags = entry.get("RepoTags") if isinstance(entry, dict) else None
    first = tags[0] if isinstance(tags, list) and tags else None
    if not isinstance(first, str) or not first.startswith("repro/"):
        return None
    return first[len("repro/") :].rpartition(":")[0]


def _refuse(message: str) -> NoReturn:
    raise ArchiveError(message, slug="archive-format")
