"""One layer becomes one folder."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from repro.errors import ArchiveError
from repro.model.oci import COMPRESSION
from repro.primitives.digest import Digest
from repro.primitives.tarread import Limits
from repro.primitives.texts import printable
from repro.primitives.untar import untar


def unpack_layer(
    stream: BinaryIO, media_type: str, dest: Path, diff_id: Digest, *, limits: Limits
) -> int:
    """Unpack a layer into the existing empty folder ``dest``; the number of entries.

    Refuses hostile content and a wrong diff_id with an ArchiveError that names the
    member; StorageError when the disk refuses. See repro.primitives.untar for what is
    made of modes, owners, links and whiteouts.
    """
    compression = COMPRESSION.get(media_type)
    if compression is None:
        raise ArchiveError(
            f"a layer has the unknown media type '{printable(media_type, 80)}'",
            slug="archive-format",
        )
    return untar(stream, compression, dest, diff_id, limits)
