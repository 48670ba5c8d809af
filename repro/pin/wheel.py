"""Wheels from strangers: what each member is, and where an installer puts it (PEP 427).

Nothing is unpacked: members are read in pieces, up to the size that is asked for.
"""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import io
import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from packaging.tags import Tag, parse_tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from repro.errors import RemoteError
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable

_MAX_MEMBERS = 200_000
_MAX_DIRECTORY = 64 << 20
_MAX_TEXT = 16 << 20
_PIECE = 1 << 20
_PATH_MAX = 4096
_END = b"PK\5\6"
_END_SIZE = 22
_LOCATOR = b"PK\6\7"
_DATA = re.compile(r"[^/]+\.data/(purelib|platlib|scripts|headers|data)/(.+)")


class WheelError(RemoteError):
    """A wheel that was downloaded is damaged, hostile or of an unknown make."""

    slug = "wheel"


@frozen
class Place:
    """Where an installer puts a member: an absolute path; ``script`` may get a new first line."""

    path: str
    script: bool = False


class Wheel:
    """An open wheel; a context manager. Raises WheelError on anything out of the ordinary."""

    def __init__(self, stream: BinaryIO) -> None:
        """``stream`` is seekable and stays the caller's."""
        _check_end(stream)
        try:
            self._zip = zipfile.ZipFile(stream)
        except (zipfile.BadZipFile, ValueError, struct.error, OSError, EOFError) as error:
            raise WheelError(f"a wheel is damaged: {printable(str(error), 80)}") from None
        self._members = dict(_members(self._zip))
        self.info = _info(self._members)

    def __enter__(self) -> Wheel:
        return self

    def __exit__(self, *exception: object) -> None:
        self._zip.close()

    @property
    def members(self) -> Mapping[str, int]:
        """Size of each file by its name in the wheel."""
        return {name: item.file_size for name, item in self._members.items()}

    def sha256(self, name: str) -> str:
        """The hash of a member's bytes. Raises WheelError when it is damaged."""
        running = hashlib.sha256()
        for piece in self.pieces(name):
            running.update(piece)
        return running.hexdigest()

    def read(self, name: str) -> bytes:
        """A member of at most 16 MiB; empty when there is none of that name."""
        if name not in self._members:
            return b""
        if self._members[name].file_size > _MAX_TEXT:
            raise WheelError(f"{printable(name, 80)} of a wheel is over {_MAX_TEXT} bytes")
        return b"".join(self.pieces(name))

    def places(self, site: str) -> dict[str, Place]:
        """Every member with the place that installing into ``site`` gives it."""
        prefix = posixpath.normpath(f"{site}/../../..")
        python = posixpath.basename(posixpath.dirname(site))
        name = self.info.partition("-")[0]
        roots = {
            "purelib": site,
            "platlib": site,
            "scripts": f"{prefix}/bin",
            "headers": f"{prefix}/include/site/{python}/{name}",
            "data": prefix,
        }
        found = {}
        for member in self._members:
            match = _DATA.fullmatch(member)
            if match is None:
                found[member] = Place(path=f"{site}/{member}")
            else:
                path = f"{roots[match.group(1)]}/{match.group(2)}"
                found[member] = Place(path=path, script=match.group(1) == "scripts")
        return found

    def pieces(self, name: str) -> Iterator[bytes]:
        """A member's bytes, no more than its size. Raises WheelError when it is damaged."""
        try:
            with self._zip.open(self._members[name]) as stream:
                # zipfile hands out no more than the size that the directory names.
                yield from iter(lambda: stream.read(_PIECE), b"")
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError,
                NotImplementedError, struct.error) as error:  # fmt: skip
            raise WheelError(
                f"{printable(name, 80)} of a wheel is damaged: {printable(str(error), 80)}"
            ) from None


def _check_end(stream: BinaryIO) -> None:
    """Refuse a directory so large that reading it would fill the memory."""
    size = stream.seek(0, io.SEEK_END)
    tail_size = min(size, _END_SIZE + 0xFFFF)
    stream.seek(size - tail_size)
    tail = stream.read(tail_size)
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_SIZE:
        raise WheelError("a wheel is no zip file, or cut off")
    if tail[:at].rfind(_LOCATOR) >= at - 20 >= 0:
        raise WheelError("a wheel is a zip64 archive: such are not read")
    entries, directory = struct.unpack_from("<HI", tail, at + 10)
    if directory > _MAX_DIRECTORY or entries == 0xFFFF:
        raise WheelError("a wheel lists too many files")
    stream.seek(0)


def _members(archive: zipfile.ZipFile) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    seen: set[str] = set()
    for item in archive.infolist():
        name = item.filename
        if len(seen) >= _MAX_MEMBERS:
            raise WheelError(f"a wheel has more than {_MAX_MEMBERS} files")
        parts = name.rstrip("/").split("/")
        if (
            any(part in ("", ".", "..") for part in parts)
            or "\\" in name
            or len(name) > _PATH_MAX
            or name != item.orig_filename
        ):
            raise WheelError(f"a wheel has a member with the name {printable(name, 80)!r}")
        if name in seen:
            raise WheelError(f"a wheel has {printable(name, 80)} twice")
        seen.add(name)
        if item.flag_bits & 1 or item.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise WheelError(f"{printable(name, 80)} of a wheel is packed in an unknown way")
        if not item.is_dir():
            yield name, item


def _info(members: Mapping[str, object]) -> str:
    """The name of the one dist-info folder (with a RECORD)."""
    found = [name for name in members if re.fullmatch(r"[^/]+\.dist-info/RECORD", name)]
    if len(found) != 1:
        raise WheelError("a wheel has no RECORD, or several")
    return found[0].rpartition("/")[0]


def fits(filename: str, name: str, version: str, tags: frozenset[Tag]) -> bool:
    """Whether a wheel's file name says this distribution and any of these tags."""
    try:
        found, number, _, own = parse_wheel_filename(filename)
    except (InvalidWheelFilename, ValueError):
        return False
    return (
        found == canonicalize_name(name)
        and number == _version(version)
        and (not tags or bool(own & tags))
    )


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def tags_of(data: bytes) -> frozenset[Tag]:
    """The ``Tag`` lines of a WHEEL file."""
    found: set[Tag] = set()
    for line in data.decode("utf-8", "replace").splitlines()[:200]:
        key, _, value = line.partition(":")
        if key.strip() == "Tag" and value.count("-") == 2:
            found |= parse_tag(value.strip())
    return frozenset(found)


def read_record(data: bytes, site: str) -> dict[str, str | None]:
    """Absolute path and sha256 (hexadecimal; None without one) of each row (PEP 376, 627).

    Raises ValueError when it is damaged.
    """
    found: dict[str, str | None] = {}
    text = io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")
    try:
        for row in csv.reader(text):
            if not row or not row[0]:
                continue
            if max(map(len, row)) > _PATH_MAX or "\0" in row[0]:
                raise ValueError("a field is too long")
            path = row[0] if row[0].startswith("/") else f"{site}/{row[0]}"
            found[posixpath.normpath(path)] = _hash(row[1] if len(row) > 1 else "")
    except csv.Error as error:
        raise ValueError(str(error)) from None
    return found


def _hash(text: str) -> str | None:
    algorithm, _, value = text.partition("=")
    if algorithm != "sha256":
        return None
    try:
        digest = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (ValueError, binascii.Error):
        return None
    return digest.hex() if len(digest) == 32 else None
