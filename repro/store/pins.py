"""Layers that stay unpacked because something kept stands on them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from repro.errors import ArchiveError
from repro.primitives.digest import Digest
from repro.primitives.files import atomic_write, private_folder


class Pins:
    """Lists of diff_ids below a cache's ``root``, one file for each owner."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "pins"

    def keep(self, owner: str, layers: Iterable[Digest]) -> None:
        """From now on ``owner`` (a file name) needs these layers. Raises OSError."""
        private_folder(self._folder)
        with atomic_write(self._folder / owner, mode=0o600) as stream:
            stream.write("".join(f"{layer}\n" for layer in layers).encode())

    def release(self, owner: str) -> None:
        """``owner`` needs nothing any more."""
        (self._folder / owner).unlink(missing_ok=True)

    def every(self) -> frozenset[Digest]:
        """What any owner needs; lines that name no layer are passed over."""
        found: set[Digest] = set()
        if not self._folder.is_dir():
            return frozenset()
        for place in self._folder.iterdir():
            with contextlib.suppress(OSError):
                for line in place.read_text(errors="replace").splitlines():
                    with contextlib.suppress(ArchiveError):
                        found.add(Digest.parse(line))
        return frozenset(found)
