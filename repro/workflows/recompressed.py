"""A layer's file list with the frames of another compression of the same bytes."""

from __future__ import annotations

from collections.abc import Sequence

import zstandard

from repro.model.oci import TOC, Descriptor, Layer, mapping
from repro.primitives.canonical import MAX_BYTES, dump, load
from repro.store.archive import Archive, VersionInfo
from repro.store.blobs import Blobs
from repro.store.catalog import layer_list


def with_frames(
    archive: Archive, version: VersionInfo, layer: Layer, frames: Sequence[int], blobs: Blobs
) -> tuple[str, Descriptor]:
    """The digest of the layer's file list, and a new one that lies in ``blobs``.

    Raises ArchiveError when there is none.
    """
    old = layer_list(version, layer)
    data = archive.read_blob(old)
    with zstandard.ZstdDecompressor(max_window_size=MAX_BYTES).stream_reader(data) as plain:
        document = dict(mapping(load(plain.read(MAX_BYTES + 1), "a file list"), "a file list"))
    document["frames"] = list(frames)
    packed = zstandard.ZstdCompressor(level=9, write_checksum=True).compress(dump(document))
    return str(old.digest), blobs.describe(packed, TOC)
