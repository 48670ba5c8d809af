"""What is written into an archive and read from it: a version with its artifacts."""

from __future__ import annotations

from repro.model.oci import Descriptor, Layer
from repro.primitives.digest import Digest
from repro.primitives.frozen import frozen


@frozen
class Artifact:
    """Something beside the image that belongs to it: recording, lock, file lists.

    ``blobs`` are its layers in order; their bytes come from the writer's blob source.
    """

    artifact_type: str
    blobs: tuple[Descriptor, ...]


@frozen
class Version:
    """One version to write. ``config`` are the image config's exact bytes.

    ``absent`` are blobs of its layers that a thin archive leaves out.
    """

    tag: str
    config: bytes
    layers: tuple[Layer, ...]
    artifacts: tuple[Artifact, ...] = ()
    absent: frozenset[Digest] = frozenset()
