"""An archive opened for a rerun: the digests of its layers are being checked from then on.

Hashing leaves the interpreter free. What a rerun needs besides is loaded meanwhile, so this
module loads nothing that reading an archive does not need (docs/decisions/0005).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from repro.errors import ReproError, RuntimeUnavailable, StorageError
from repro.model.oci import oci_architecture
from repro.primitives.aside import Aside
from repro.primitives.events import Event, Observer, silent
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
        self.observer = observer
        self.archive = Archive.open(path)
        try:
            self.version = self.archive.version(tag)
            check_architecture(self.version, machine)
            self.cache = Cache(root, looks=False)
        except BaseException:
            self.archive.close()
            raise
        self._layers = Aside(partial(self.cache.layers, self.archive, self.version, self._tell))

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

    def _tell(self, event: Event) -> None:
        self.observer(event)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *exception: object) -> None:
        self.cache.give_up()
        self._layers.__exit__()
        self.archive.close()
        self.cache.__exit__()


Opening = Callable[[Path, str | None, str, Path, Observer], Opened]
"""Opens an archive: ``Opened``, or ``Early.opened``."""


class Early:
    """The archive that a command line seems to name, opened before its options are known.

    A wrong guess costs its opening: nothing of the archive runs before the options are known,
    and whatever is wrong with it is said when it is opened for good. To be closed.
    """

    def __init__(self, words: Sequence[str], machine: str, root: Path) -> None:
        """``words`` are the command's; a guess is made when one of them alone is a file's name."""
        own = words[: words.index("--")] if "--" in words else words
        files = [word for word in own if not word.startswith("-") and os.path.isfile(word)]
        self._asked = Path(files[0]) if len(files) == 1 else None, None, machine, root
        self._opened: Opened | None = None
        if self._asked[0] is not None:
            with contextlib.suppress(ReproError, OSError):
                self._opened = Opened(self._asked[0], None, machine, root)

    def opened(
        self, path: Path, tag: str | None, machine: str, root: Path, observer: Observer
    ) -> Opened:
        """The archive opened early when it is the one that is wanted, else opened now: the
        caller's to close. Raises what ``Opened`` raises."""
        found = self._opened
        if found is None or (path, tag, machine, root) != self._asked:
            return Opened(path, tag, machine, root, observer)
        self._opened = None
        found.observer = observer
        return found

    def close(self) -> None:
        """Let go of an archive that nobody wanted."""
        if self._opened is not None:
            self._opened.__exit__()


def check_architecture(version: VersionInfo, machine: str) -> None:
    """Raises RuntimeUnavailable when the image is for another processor."""
    wanted = version.config.architecture
    if wanted != oci_architecture(machine):
        raise RuntimeUnavailable(
            f"the archive is for {printable(wanted, 40)}, this machine is {machine}",
            hint="verify it on a machine of that kind",
            slug="architecture",
        )
