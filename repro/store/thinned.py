"""The documents of a thin version: what it lacks, and how each layer is made again."""

from __future__ import annotations

from collections.abc import Callable

import zstandard

from repro.errors import ArchiveError
from repro.model.oci import Descriptor, Layer
from repro.model.thin import Part, Thin, ThinLayer, parse_recipe
from repro.model.thin_media import THIN
from repro.primitives.canonical import MAX_BYTES, load
from repro.primitives.digest import Digest
from repro.store.catalog import VersionInfo

ReadBlob = Callable[[Descriptor], bytes]
"""Reads a verified blob of moderate size."""

MARK = "\n--- what stands in the whole archive: ---\n"
"""Between a thin archive's own words in its README and those of the whole one."""


def thin_document(version: VersionInfo, read: ReadBlob) -> Thin | None:
    """What a version lacks; None when it is whole. Raises ArchiveError."""
    artifact = version.artifact(THIN)
    if artifact is None:
        return None
    blob = artifact.blob(THIN)
    if blob is None:
        raise ArchiveError("a thin version does not say what it lacks", slug="archive-format")
    found = Thin.parse(load(read(blob), "the thin document"))
    known = {(layer.diff_id, layer.descriptor.digest) for layer in version.layers}
    for layer in found.layers:
        if (layer.diff_id, layer.digest) not in known:
            raise ArchiveError(
                "the thin document is of another version", slug="archive-thin-recipe"
            )
    return found


def read_recipe(
    version: VersionInfo, thin: Thin, missing: ThinLayer, layer: Layer, read: ReadBlob
) -> tuple[Part, ...]:
    """The parts of a layer. Raises ArchiveError."""
    data = read(thin_blob(version, missing.recipe))
    try:
        with zstandard.ZstdDecompressor(max_window_size=MAX_BYTES).stream_reader(data) as plain:
            document = load(plain.read(MAX_BYTES + 1), "a thin recipe")
    except zstandard.ZstdError as error:
        raise ArchiveError(f"a thin recipe is damaged: {error}", slug="archive-zstd") from None
    return parse_recipe(document, thin, missing, layer.uncompressed_size)


def thin_blob(version: VersionInfo, digest: Digest) -> Descriptor:
    """The descriptor of a recipe or a rest. Raises ArchiveError when the version has none."""
    artifact = version.artifact(THIN)
    for blob in artifact.manifest.layers if artifact else ():
        if blob.digest == digest:
            return blob
    raise ArchiveError("a thin version lacks a recipe or a rest", slug="archive-thin-recipe")
