"""OCI documents: descriptor, manifest, config, index (OCI image-spec 1.1).

Parsing is strict because the documents come from strangers: every digest is
validated at the door and a wrong type is an ArchiveError, never a traceback.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from repro.errors import ArchiveError, RuntimeUnavailable
from repro.primitives.canonical import dump
from repro.primitives.digest import Digest
from repro.primitives.frozen import field, frozen
from repro.primitives.texts import printable

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_PLAIN = "application/vnd.oci.image.layer.v1.tar"
LAYERS = (LAYER_ZSTD, LAYER_GZIP, LAYER_PLAIN)
COMPRESSION = {LAYER_ZSTD: "zstd", LAYER_GZIP: "gzip", LAYER_PLAIN: "plain"}
EMPTY = "application/vnd.oci.empty.v1+json"
EMPTY_BYTES = b"{}"
RECORDING = "application/vnd.repro.recording.v1+json"
CLAIMS = "application/vnd.repro.claims.v1+json"
CIRCUMSTANCES = "application/vnd.repro.circumstances.v1+json"
RESULTS = "application/vnd.repro.results.v1.tar+zstd"
LOCK = "application/vnd.repro.lock.v1+json"
TOC = "application/vnd.repro.toc.v1+json+zstd"
SBOM = "application/vnd.cyclonedx+json"
FOLDED = "application/vnd.repro.folded.v1+json"
FOLDED_PIECES = "application/vnd.repro.folded.pieces.v1"

REF_NAME = "org.opencontainers.image.ref.name"
LABEL_SCHEMA = "org.repro.schema"
LABEL_CLAIMS = "org.repro.claims"
ANNOTATION_KIND = "org.repro.kind"
ANNOTATION_USIZE = "org.repro.uncompressed-size"
ANNOTATION_TOC = "org.repro.toc"
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
"""What a tag looks like (distribution-spec, "Pulling manifests"; to be matched whole)."""
SCHEMA = 1
"""The newest archive schema this program reads; the label ``org.repro.schema``."""
LOCK_SCHEMA = "repro.lock/1"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def oci_architecture(machine: str) -> str:
    """GOARCH of a ``uname -m`` name. Raises RuntimeUnavailable for one repro does not know."""
    if machine not in _ARCHITECTURES:
        raise RuntimeUnavailable(
            f"repro does not run on {machine} yet", hint="use an x86-64 or aarch64 machine"
        )
    return _ARCHITECTURES[machine]


@frozen
class Descriptor:
    """Points at a blob (image-spec, descriptor.md). ``size`` is in bytes."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    artifact_type: str | None = None
    platform: Mapping[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON form, absent fields left out."""
        found: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
        }
        if self.artifact_type is not None:
            found["artifactType"] = self.artifact_type
        if self.platform is not None:
            found["platform"] = dict(self.platform)
        if self.annotations:
            found["annotations"] = dict(self.annotations)
        return found

    @classmethod
    def parse(cls, value: object, what: str) -> Descriptor:
        """Read a descriptor; ``what`` names it in errors. Raises ArchiveError."""
        fields = mapping(value, what)
        platform = fields.get("platform")
        artifact = fields.get("artifactType")
        return cls(
            media_type=text(fields.get("mediaType"), f"{what} mediaType"),
            digest=Digest.parse(fields.get("digest"), what),
            size=whole(fields.get("size"), f"{what} size"),
            annotations=texts(fields.get("annotations", {}), f"{what} annotations"),
            artifact_type=None if artifact is None else text(artifact, f"{what} artifactType"),
            platform=None if platform is None else texts(platform, f"{what} platform"),
        )


@frozen
class Layer:
    """A layer: its descriptor (compressed bytes) and its diff_id (uncompressed bytes)."""

    descriptor: Descriptor
    diff_id: Digest
    uncompressed_size: int
    kind: str


@frozen
class ImageConfig:
    """The image config (image-spec, config.md). Its digest is the archive's identity."""

    architecture: str
    env: tuple[str, ...]
    cmd: tuple[str, ...]
    working_dir: str
    labels: Mapping[str, str]
    diff_ids: tuple[Digest, ...]
    history: tuple[str, ...] = ()
    created: str | None = None
    user: str = ""

    def to_bytes(self) -> bytes:
        """Canonical JSON; the same config gives the same bytes."""
        document: dict[str, Any] = {
            "architecture": self.architecture,
            "os": "linux",
            "config": {
                "Env": list(self.env),
                "Cmd": list(self.cmd),
                "WorkingDir": self.working_dir,
                "Labels": dict(self.labels),
            },
            "rootfs": {"type": "layers", "diff_ids": [str(digest) for digest in self.diff_ids]},
            "history": [{"created_by": line, "created": self.created} for line in self.history],
        }
        if self.created is not None:
            document["created"] = self.created
        if self.user:
            document["config"]["User"] = self.user
        return dump(document)

    @classmethod
    def parse(cls, value: object) -> ImageConfig:
        """Read a config. Raises ArchiveError."""
        fields = mapping(value, "image config")
        run = mapping(fields.get("config", {}), "image config.config")
        rootfs = mapping(fields.get("rootfs"), "image config.rootfs")
        if fields.get("os") != "linux":
            raise ArchiveError(f"the image is for {str(fields.get('os'))[:40]!r}, not linux")
        diff_ids = sequence(rootfs.get("diff_ids"), "image config.rootfs.diff_ids")
        return cls(
            architecture=text(fields.get("architecture"), "image config.architecture"),
            env=tuple(text(item, "Env") for item in sequence(run.get("Env") or [], "Env")),
            cmd=tuple(text(item, "Cmd") for item in sequence(run.get("Cmd") or [], "Cmd")),
            working_dir=text(run.get("WorkingDir") or "/", "WorkingDir"),
            labels=texts(run.get("Labels") or {}, "Labels"),
            diff_ids=tuple(Digest.parse(item, "image config diff_ids") for item in diff_ids),
            user=text(run.get("User") or "", "User"),
        )


@frozen
class Manifest:
    """An image or artifact manifest (image-spec, manifest.md)."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    artifact_type: str | None = None
    subject: Descriptor | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.config.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
        }
        if self.artifact_type is not None:
            document["artifactType"] = self.artifact_type
        if self.subject is not None:
            document["subject"] = self.subject.to_json()
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        return dump(document)

    @classmethod
    def parse(cls, value: object) -> Manifest:
        """Read a manifest. Raises ArchiveError."""
        fields = mapping(value, "manifest")
        if fields.get("schemaVersion") != 2:
            raise ArchiveError("manifest: schemaVersion is not 2")
        if fields.get("mediaType", MANIFEST) != MANIFEST:
            raise ArchiveError("manifest: mediaType does not match its descriptor")
        layers = sequence(fields.get("layers"), "manifest.layers")
        artifact = fields.get("artifactType")
        subject = fields.get("subject")
        return cls(
            config=Descriptor.parse(fields.get("config"), "manifest.config"),
            layers=tuple(
                Descriptor.parse(item, f"manifest.layers[{number}]")
                for number, item in enumerate(layers)
            ),
            artifact_type=None if artifact is None else text(artifact, "artifactType"),
            subject=None if subject is None else Descriptor.parse(subject, "manifest.subject"),
            annotations=texts(fields.get("annotations", {}), "manifest.annotations"),
        )


def mapping(value: object, what: str) -> Mapping[str, Any]:
    """``value`` as a JSON object. Raises ArchiveError naming ``what``."""
    if not isinstance(value, dict):
        raise ArchiveError(f"{what} is not an object", slug="archive-json")
    return value


def sequence(value: object, what: str) -> list[Any]:
    """``value`` as a JSON array. Raises ArchiveError naming ``what``."""
    if not isinstance(value, list):
        raise ArchiveError(f"{what} is not an array", slug="archive-json")
    return value


def text(value: object, what: str) -> str:
    """``value`` as text. Raises ArchiveError naming ``what``."""
    if not isinstance(value, str):
        raise ArchiveError(f"{what} is not text", slug="archive-json")
    return value


def whole(value: object, what: str) -> int:
    """``value`` as a whole number from 0 to 2**53. Raises ArchiveError naming ``what``."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 53:
        raise ArchiveError(f"{what} is not a whole number", slug="archive-json")
    return value


def texts(value: object, what: str) -> Mapping[str, str]:
    """``value`` as an object of texts. Raises ArchiveError naming ``what``."""
    return {
        key: item if isinstance(item, str) else text(item, f"{what}.{printable(key, 60)}")
        for key, item in mapping(value, what).items()
    }
