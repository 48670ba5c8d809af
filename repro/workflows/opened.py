"""An archive opened for a rerun: the digests of its layers are being checked from then on.

Hashing leaves the interpreter free. What a rerun needs besides is loaded meanwhile, so this
module loads nothing that reading an archive does not need (docs/decisions/0005).
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from repro.errors import RuntimeUnavailable, StorageError
from repro.model.oci import oci_architecture
from repro.primitives.aside import Aside
from repro.primitives.events import Observer, silent
from repro.primitives.texts import printable
from repro.store.archive import Archive, VersionInfo
from repro.store.cache import Cache


class Opened:
    """One version of an archive, and its layers in the cache below ``root``; a context.

    Raises what ``Archive.open`` raises, and RuntimeUnavailable for another processor's image.
    ``since`` is the moment of opening, as time.monotonic() counts.
    """

    def __init__(
        self, path: Path, tag: str | None, machine: str, root: Path, observer: Observer = silent
    ) -> None:
        self.since = time.monotonic()
        self.path = path
        self.archive = Archive.open(path)
        try:
            self.version = self.archive.version(tag)
            check_architecture(self.version, machine)
            self.cache = Cache(root, looks=False)
        except BaseException:
            self.archive.close()
            raise
        self._layers = Aside(partial(self.cache.layers, self.archive, self.version, observer))

    def layers(self) -> list[str]:
        """The unpacked folders, lowest first, when every digest has been found right.

        Raises ArchiveError, StorageError.
        """
        return [str(layer) for layer in self._layers.result()]

    def check_untouched(self) -> None:
        """Raises StorageError when somebody changed an unpacked layer since it was checked.

        Takes a look at every file, so it is made beside the run and not before it.
        """
        touched = self.cache.touched(self._layers.result())
        if touched:
            raise StorageError(
                f"an unpacked layer in the cache was changed by somebody: {touched[0]}",
                hint="run it again: the layer is unpacked anew; what this run gave is not judged",
                slug="cache-changed",
            )

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *exception: object) -> None:
        self.cache.give_up()
        self._layers.__exit__()
        self.archive.close()
        self.cache.__exit__()


def check_architecture(version: VersionInfo, machine: str) -> None:
    """Raises RuntimeUnavailable when the image is for another processor."""
    wanted = version.config.architecture
    if wanted != oci_architecture(machine):
        raise RuntimeUnavailable(
            f"the archive is for {printable(wanted, 40)}, this machine is {machine}",
            hint="verify it on a machine of that kind",
            slug="architecture",
        )
