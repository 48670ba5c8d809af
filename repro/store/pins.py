"""Layers that stay unpacked because something kept stands on them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from repro.errors import ArchiveError
from repro.primitives.digest import Digest
from repro.primitives.files import atomic_write, private_folder

_ARCHIVE = b"archive "


class Pins:
    """Lists of diff_ids below a cache's ``root``, one file for each owner."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "pins"

    def keep(self, owner: str, layers: Iterable[Digest], archive: Path | None = None) -> None:
        """From now on ``owner`` (a file name) needs these layers and this file. Raises OSError."""
        private_folder(self._folder)
        with atomic_write(self._folder / owner, mode=0o600) as stream:
            stream.write("".join(f"{layer}\n" for layer in layers).encode())
            if archive is not None:
                stream.write(_ARCHIVE + os.fsencode(archive) + b"\n")

    def release(self, owner: str) -> None:
        """``owner`` needs nothing any more."""
        (self._folder / owner).unlink(missing_ok=True)

    def every(self) -> frozenset[Digest]:
        """What any owner needs; lines that name no layer are passed over."""
        found: set[Digest] = set()
        for line in self._lines():
            with contextlib.suppress(ArchiveError):
                found.add(Digest.parse(line.decode(errors="replace")))
        return frozenset(found)

    def archives(self) -> frozenset[str]:
        """The files that any owner needs."""
        return frozenset(
            os.fsdecode(line.removeprefix(_ARCHIVE))
            for line in self._lines()
            if line.startswith(_ARCHIVE)
        )

    def _lines(self) -> Iterator[bytes]:
        if self._folder.is_dir():
            for place in self._folder.iterdir():
                with contextlib.suppress(OSError):
                    yield from place.read_bytes().split(b"\n")
