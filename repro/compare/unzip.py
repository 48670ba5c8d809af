"""The members of a ZIP from a stranger: counted, bounded, each name once."""

from __future__ import annotations

import io
import zipfile
import zlib

from repro.compare.base import Beyond, Malformed

MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_MAX_MEMBERS = 10_000
_MAX_TOTAL = 96 << 20
_MAX_MEMBER = 64 << 20


def unzip(data: bytes) -> dict[str, bytes]:
    """Every member by name. Raises Malformed; Beyond for too many, too large, encrypted ones."""
    if not data.startswith(MAGIC):
        raise Malformed("it does not begin like a ZIP")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError) as error:
        raise Malformed(f"{error}") from None
    except (NotImplementedError, RuntimeError) as error:
        # Encrypted, or packed in a way zipfile does not know.
        raise Beyond(f"a member cannot be unpacked: {error}") from None


def _read(archive: zipfile.ZipFile) -> dict[str, bytes]:
    infos = archive.infolist()
    if len(infos) > _MAX_MEMBERS:
        raise Beyond(f"more than {_MAX_MEMBERS} members")
    found: dict[str, bytes] = {}
    total = 0
    for info in infos:
        if info.filename in found:
            raise Beyond("two members have the same name")
        with archive.open(info) as stream:
            content = stream.read(_MAX_MEMBER + 1)
        total += len(content)
        if len(content) > _MAX_MEMBER or total > _MAX_TOTAL:
            raise Beyond("its members are too large to compare")
        found[info.filename] = content
    return found
