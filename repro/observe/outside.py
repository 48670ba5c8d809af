"""Files outside the project that a run changes: their state before it, kept for the image.

Neither an overlay nor the copies of an in-place run hold them, and a rerun must start from
what the recorded run started from. They are not put back: no other place than the project
is promised to stay as it was.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping

from repro.observe.inplace import copy_file
from repro.primitives.texts import human_size, printable

LIMIT = 2_000_000_000
"""So many bytes are kept altogether."""

_SKIPPED = ("/dev/", "/proc/", "/sys/")
_REMEMBERED = 1 << 16


class Outside:
    """``keep`` is the notifier's hook, called before a call that may change a file.

    ``kept`` leads from a file's real path to its copy in ``folder``; ``trouble`` holds
    sentences about files that could not be kept.
    """

    def __init__(self, root: str, folder: str) -> None:
        self._root = root
        self._folder = folder
        self._seen: set[str] = set()
        self._inside: set[str] = set()
        self._bytes = 0
        self.kept: dict[str, str] = {}
        self.trouble: list[str] = []

    def keep(self, path: str) -> None:
        """Copy the plain file that the path leads to, once, unless the project holds it."""
        if path in self._seen or path in self._inside:
            return
        real = os.path.realpath(path)
        if real.startswith((self._root + "/", *_SKIPPED)):
            if len(self._inside) >= _REMEMBERED:
                self._inside.clear()
            self._inside.add(path)
            return
        # Never forgotten: what the run made there itself would pass for a state before it.
        self._seen.add(path)
        if real in self.kept:
            return
        try:
            status = os.lstat(real)
            if not stat.S_ISREG(status.st_mode):
                return
            if self._bytes + status.st_size > LIMIT:
                self._lost(real, f"more than {human_size(LIMIT)}")
                return
            copy = self._copy(real)
        except FileNotFoundError:
            return
        except OSError as error:
            self._lost(real, str(error.strerror))
            return
        self._bytes += status.st_size
        self.kept[real] = copy

    def add(self, kept: Mapping[str, str], trouble: Iterable[str]) -> None:
        """What the recorder of another step kept in the same folder."""
        self.kept.update(kept)
        self.trouble += [text for text in trouble if text not in self.trouble]

    def _copy(self, real: str) -> str:
        """Several steps at once may keep one file: the first copy is the state before all."""
        copy = os.path.join(self._folder, hashlib.sha256(os.fsencode(real)).hexdigest())
        own = f"{copy}.{os.getpid()}"
        copy_file(real, own)
        try:
            os.link(own, copy)
        except FileExistsError:
            pass
        finally:
            os.unlink(own)
        return copy

    def changed(self) -> dict[str, str]:
        """``kept`` without files that are as they were: opened for writing and left alone."""
        return {path: copy for path, copy in self.kept.items() if not _same(path, copy)}

    def _lost(self, real: str, reason: str) -> None:
        self.trouble.append(
            f"the state of {printable(real)} before the run could not be kept ({reason}): it is "
            "packed as the run left it"
        )


def _same(path: str, copy: str) -> bool:
    try:
        now, before = os.lstat(path), os.lstat(copy)
    except OSError:
        return False
    return (now.st_size, now.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
