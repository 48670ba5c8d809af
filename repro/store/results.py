"""The recorded outputs, taken out of their blob once and checked against the claims."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NoReturn

from repro.errors import ArchiveError, StorageError
from repro.model.ports import OutputFile
from repro.model.recording import Output
from repro.primitives import tarformat
from repro.primitives.digest import Digest
from repro.primitives.frames import Counted, bounded, decompressed
from repro.primitives.frozen import frozen
from repro.primitives.tarformat import Header
from repro.primitives.tarread import Limits, TarReader, split_name
from repro.primitives.texts import human_size, printable
from repro.primitives.verified import RangeReader

_BUFFER = 1 << 17
_OUTPUT = "recorded output"


class _Spool:
    """An unnamed temporary file, open for as long as one of its outputs is held."""

    def __init__(self) -> None:
        # Held open by every output, so it cannot be a with block.
        self.file = tempfile.TemporaryFile()

    @property
    def fd(self) -> int:
        return self.file.fileno()


@frozen
class RecordedFile:
    """One recorded output; its bytes were checked against ``digest``."""

    size: int
    digest: Digest
    link: bool
    offset: int
    spool: _Spool

    def open(self) -> BinaryIO:
        """A fresh seekable stream of the bytes."""
        return _Held(RangeReader(self.spool.fd, self.offset, self.size), self.spool)


class _Held(io.BufferedReader):
    def __init__(self, raw: RangeReader, spool: _Spool) -> None:
        super().__init__(raw, _BUFFER)
        self._spool = spool


def read_results(stream: BinaryIO, outputs: Sequence[Output]) -> dict[str, OutputFile]:
    """The recorded outputs by path, from the blob's ``stream``.

    Every output of the claims must be there with its size and sha256, and nothing else.
    Raises ArchiveError naming the output, StorageError when there is no room for them.
    """
    wanted = {os.fsencode(output.path): output for output in outputs}
    spool = _Spool()
    found: dict[str, OutputFile] = {}
    limit = sum(output.size for output in outputs)
    _check_room(limit, spool.fd)
    packed, limits = Counted(stream), Limits(total=limit)
    unpacked = decompressed(packed, "zstd")  # type: ignore[arg-type]
    reader = TarReader(bounded(unpacked, packed, limits, "the blob"), limits)
    try:
        for header in reader:
            path = b"/".join(split_name(header.name, Limits()))
            if header.kind == tarformat.FOLDER:
                continue
            output = wanted.get(path)
            if output is None or output.path in found:
                _refuse(path, "is not among the claims, or is there twice")
            found[output.path] = _take(header, reader, output, spool)
    except ArchiveError as error:
        if error.message.startswith(_OUTPUT):
            raise
        raise ArchiveError(
            f"the recorded results: {error.message}", details=error.details, slug=error.slug
        ) from None
    except OSError as error:
        raise StorageError(
            f"no room for the recorded results: {error.strerror}", hint="set TMPDIR"
        ) from None
    for raw, output in wanted.items():
        if output.path not in found:
            _refuse(raw, "is missing")
    return {output.path: found[output.path] for output in outputs}


def _check_room(size: int, fd: int) -> None:
    """Before the disk is filled with what does not fit. Raises ArchiveError, StorageError."""
    if size > Limits().total:
        raise ArchiveError(
            f"the claims name recorded outputs of {human_size(size)} in all", slug="archive-limit"
        )
    disk = os.fstatvfs(fd)
    free = disk.f_bavail * disk.f_frsize
    if size > free:
        raise StorageError(
            f"no room for the recorded results: they have {human_size(size)}, "
            f"{human_size(free)} are free",
            hint="set TMPDIR to a folder on another disk",
        )


def _take(header: Header, reader: TarReader, output: Output, spool: _Spool) -> RecordedFile:
    if header.kind not in (tarformat.FILE, tarformat.SYMLINK):
        _refuse(header.name, "is no plain file")
    offset = spool.file.tell()
    running = hashlib.sha256()
    for piece in _content(header, reader):
        running.update(piece)
        spool.file.write(piece)
    spool.file.flush()
    digest = Digest(running.hexdigest())
    size = spool.file.tell() - offset
    link = header.kind == tarformat.SYMLINK
    if (digest, size, link) != (output.digest, output.size, output.link):
        _refuse(
            header.name,
            "does not match the claims",
            [f"expected {output.digest}, found {digest}"],
        )
    return RecordedFile(size=size, digest=digest, link=link, offset=offset, spool=spool)


def _content(header: Header, reader: TarReader) -> Iterator[bytes | memoryview]:
    if header.kind == tarformat.SYMLINK:
        return iter((header.link,))
    return reader.data()


def _refuse(path: bytes, why: str, details: Sequence[str] = ()) -> NoReturn:
    shown = printable(os.fsdecode(path), 100)
    raise ArchiveError(f"{_OUTPUT} '{shown}' {why}", details=details, slug="archive-digest")
