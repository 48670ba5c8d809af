"""Everything an archive holds, also what is compressed inside it: to prove that something is not."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import zstandard

_ZSTD = b"\x28\xb5\x2f\xfd"


def every_byte(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each member; zstd streams unpacked as well."""
    with tarfile.open(archive) as outer:
        for member in outer:
            yield "names", f"{member.name} {member.linkname} {member.uname}".encode()
            stream = outer.extractfile(member) if member.isreg() else None
            if stream is None:
                continue
            data = stream.read()
            yield member.name, data
            if data.startswith(_ZSTD):
                reader = zstandard.ZstdDecompressor().stream_reader(
                    io.BytesIO(data), read_across_frames=True
                )
                yield f"{member.name} unpacked", reader.read()


def members_with(archive: Path, *texts: str) -> list[str]:
    """Which members hold one of the texts."""
    wanted = [text.encode() for text in texts]
    return [name for name, data in every_byte(archive) if any(text in data for text in wanted)]
