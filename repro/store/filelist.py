"""The document of a layer's file list (TOC): its entries, and where its frames are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import zstandard

from repro.errors import ArchiveError
from repro.model.oci import Layer, mapping, sequence, whole
from repro.primitives.canonical import MAX_BYTES, load
from repro.primitives.digest import Digest
from repro.primitives.frozen import frozen


@frozen
class FileList:
    """``entries`` in the order of the layer; ``frames`` are compressed lengths in bytes."""

    entries: list[Mapping[str, Any]]
    frames: tuple[int, ...]


def read_file_list(data: bytes, layer: Layer) -> FileList:
    """Read the compressed document. Raises ArchiveError when it is damaged or of another layer."""
    try:
        with zstandard.ZstdDecompressor(max_window_size=MAX_BYTES).stream_reader(data) as plain:
            document = mapping(load(plain.read(MAX_BYTES + 1), "a file list"), "a file list")
    except zstandard.ZstdError as error:
        raise ArchiveError(f"a file list is damaged: {error}", slug="archive-zstd") from None
    if Digest.parse(document.get("diff_id")) != layer.diff_id:
        raise ArchiveError("a file list is of another layer", slug="archive-format")
    frames = tuple(
        whole(item, "a frame's length") for item in sequence(document.get("frames"), "frames")
    )
    if sum(frames) != layer.descriptor.size or not all(frames):
        raise ArchiveError("a file list tells of other frames", slug="archive-format")
    return FileList(
        entries=[
            mapping(entry, "file list entry")
            for entry in sequence(document.get("entries"), "file list entries")
        ],
        frames=frames,
    )
