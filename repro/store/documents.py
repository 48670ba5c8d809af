"""The small documents of an archive, in the one form that we write and accept.

No digest of the image covers them (archive.md, "Outer tar"), so the reader accepts
only what this module would have written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from repro.model.oci import INDEX, Descriptor, Manifest
from repro.primitives.canonical import dump
from repro.primitives.digest import Digest
from repro.primitives.frozen import frozen

LAYOUT = dump({"imageLayoutVersion": "1.0.0"})
OCI_LAYOUT = "oci-layout"
INDEX_JSON = "index.json"
MANIFEST_JSON = "manifest.json"
README = "README"
SUMS = "SHA256SUMS"
SUMMED = (OCI_LAYOUT, INDEX_JSON, MANIFEST_JSON, README)
HEAD = (*SUMMED, SUMS)
"""The first members of an archive, in this order."""

BLOBS = "blobs/sha256/"
FOLDERS = ("blobs/", BLOBS)
"""Folder entries between head and blobs: an unprivileged skopeo cannot make implied folders
(it gives them to the header's owner, which only root may)."""


@frozen
class Tagged:
    """What manifest.json says of one version."""

    tag: str
    config: Digest
    layers: tuple[Digest, ...]


def index_json(descriptors: Sequence[Descriptor]) -> bytes:
    """The OCI index (image-spec, image-index.md)."""
    return dump(
        {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [descriptor.to_json() for descriptor in descriptors],
        }
    )


def manifest_json(name: str, versions: Sequence[Tagged]) -> bytes:
    """The docker-archive's manifest.json (docker image spec v1.2)."""
    document: list[dict[str, Any]] = [
        {
            "Config": blob_name(version.config),
            "RepoTags": [f"repro/{image_name(name)}:{version.tag}"],
            "Layers": [blob_name(digest) for digest in version.layers],
        }
        for version in versions
    ]
    return dump(document)


def tagged(tag: str, manifest: Manifest) -> Tagged:
    """A version's entry for manifest.json."""
    return Tagged(
        tag=tag,
        config=manifest.config.digest,
        layers=tuple(layer.digest for layer in manifest.layers),
    )


def sums(contents: Sequence[tuple[str, bytes]]) -> bytes:
    """SHA256SUMS as ``sha256sum -c`` reads it."""
    return "".join(f"{Digest.of(data).hex}  {name}\n" for name, data in contents).encode()


def blob_name(digest: Digest) -> str:
    """A blob's name in the archive."""
    return f"{BLOBS}{digest.hex}"


def image_name(name: str) -> str:
    """``name`` as engines allow it: lower case, [a-z0-9._-], separators between words only."""
    safe = re.sub(r"[^a-z0-9._-]+", "-", name.lower())
    # The reference grammar (distribution/reference) knows only . _ __ and runs of - inside.
    safe = re.sub(r"[._-]{2,}", "-", safe).strip("._-")
    return safe[:100].rstrip("._-") or "analysis"
