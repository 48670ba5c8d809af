"""Recording without an overlay: the first state of every file is kept before it changes."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Collection, Mapping

from repro.model.observation import Change
from repro.observe.capture import folders_file, put_back
from repro.primitives.files import walk

_Stamp = tuple[int, int, int, int]


class InPlace:
    """A run in the author's own folder that can be undone.

    ``keep`` is the notifier's hook: it copies a file of the project to ``before`` the first
    time that a call may change it. Without a notifier everything is copied at the start.
    """

    def __init__(
        self, root: str, before: str, hide: Collection[str], seed: Mapping[str, bytes]
    ) -> None:
        self._root = root
        self._before = before
        self._hide = hide
        self._seed = seed
        self._kept: set[str] = set()
        self._stamps: dict[str, _Stamp] = {}
        self._seed_stamps: dict[str, _Stamp] = {}

    def begin(self, *, copy_all: bool) -> None:
        """Note every file's state, hide old outputs, place the seeded files."""
        self._stamps = self._look()
        with open(folders_file(self._before), "wb") as stream:
            stream.write(b"\0".join(os.fsencode(path) for path in self._folders()))
        for path in list(self._stamps) if copy_all else self._hide:
            self.keep(os.path.join(self._root, path))
        for path in self._hide:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self._root, path))
            self._stamps.pop(path, None)
        for path, content in self._seed.items():
            target = os.path.join(self._root, path)
            self.keep(target)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as stream:
                stream.write(content)
            self._seed_stamps[path] = _stamp(os.lstat(target))

    def keep(self, path: str) -> None:
        """Copy a project file to ``before``, once."""
        if not path.startswith(self._root + "/"):
            return
        relative = path[len(self._root) + 1 :]
        if relative in self._kept or ".." in relative.split("/"):
            return
        self._kept.add(relative)
        try:
            status = os.lstat(path)
        except OSError:
            return
        if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
            target = os.path.join(self._before, relative)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(path, target, follow_symlinks=False)

    def finish(self, upper: str) -> list[tuple[str, Change]]:
        """The changes, sorted by path; what was written is copied to ``upper``."""
        now = self._look()
        changes: list[tuple[str, Change]] = []
        for path, stamp in now.items():
            before = self._stamps.get(path)
            if stamp == before or stamp == self._seed_stamps.get(path):
                continue
            changes.append((path, Change.CREATED if before is None else Change.CHANGED))
            target = os.path.join(upper, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(os.path.join(self._root, path), target, follow_symlinks=False)
        changes += [(path, Change.DELETED) for path in self._stamps if path not in now]
        for path in self._seed:
            target = os.path.join(upper, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with contextlib.suppress(OSError):
                shutil.copy2(os.path.join(self._root, path), target)
                os.unlink(os.path.join(self._root, path))
        return sorted(changes, key=lambda pair: os.fsencode(pair[0]))

    def undo(self) -> None:
        """Put the folder back after a run that did not finish."""
        now = self._look()
        changed = [path for path, stamp in now.items() if stamp != self._stamps.get(path)]
        put_back(self._root, self._before, changed)

    def _folders(self) -> list[str]:
        return [path for path, status in walk(self._root) if stat.S_ISDIR(status.st_mode)]

    def _look(self) -> dict[str, _Stamp]:
        found = {}
        for path, status in walk(self._root):
            if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
                found[path] = _stamp(status)
        return found


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_mode
