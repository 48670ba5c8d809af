"""Recording without an overlay: the first state of every file is kept before it changes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
from collections.abc import Collection, Iterator, Mapping

from repro.model.observation import Change
from repro.primitives.files import walk
from repro.primitives.frozen import field, frozen
from repro.primitives.texts import printable

_FICLONE = 0x40049409
_Stamp = tuple[int, int, int, int]


@frozen
class State:
    """A folder at one moment: ``files`` (and links) with size, mtime in ns, inode and mode;
    ``folders`` with their modes. Paths are relative.
    """

    files: Mapping[str, _Stamp] = field(default_factory=dict)
    folders: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, root: str) -> State:
        """The state of ``root`` now. Raises OSError when a folder cannot be listed."""
        files, folders = {}, {}
        for path, status in walk(root):
            if stat.S_ISDIR(status.st_mode):
                folders[path] = status.st_mode
            elif _kept_kind(status):
                files[path] = _stamp(status)
        return cls(files=files, folders=folders)

    @classmethod
    def load(cls, path: str) -> State:
        """Read what ``save`` wrote."""
        with open(path, encoding="utf-8") as stream:
            data = json.load(stream)
        files = {name: (int(a), int(b), int(c), int(d)) for name, (a, b, c, d) in data[0].items()}
        return cls(files=files, folders=data[1])

    def save(self, path: str) -> None:
        """Write it as JSON (names that are no text are lone surrogates, escaped)."""
        with open(path, "w", encoding="utf-8") as stream:
            json.dump([self.files, self.folders], stream)


class InPlace:
    """A run in the author's own folder that can be undone.

    ``keep`` is the notifier's hook: it copies a file of the project to ``before`` the first
    time that a call may change it. Without a notifier everything is copied at the start.
    ``trouble`` holds sentences about files that could not be kept.
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
        self._began = False
        self.trouble: list[str] = []

    def begin(self, *, copy_all: bool) -> None:
        """Note every file's state, hide old outputs, place the seeded files.

        Raises OSError when something to be hidden cannot be kept first.
        """
        state = State.of(self._root)
        state.save(state_file(self._before))
        self._stamps = dict(state.files)
        self._began = True
        if copy_all:
            for folder in state.folders:
                os.makedirs(os.path.join(self._before, folder), exist_ok=True)
            for path in state.files:
                self._keep_file(path)
        for path in self._hide:
            self._hide_one(path)
        for path, content in self._seed.items():
            target = os.path.join(self._root, path)
            self.keep(target)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(target)
            with open(target, "wb") as stream:
                stream.write(content)
            os.chmod(target, 0o644)
            self._seed_stamps[path] = _stamp(os.lstat(target))

    def keep(self, path: str, tree: bool = False) -> None:
        """Copy a project file to ``before``, once; with ``tree`` all below a folder.

        Both the place that the path names and, through a link, the file that it leads to.
        """
        real = os.path.realpath(path)
        folder, _, leaf = path.rpartition("/")
        for place in dict.fromkeys((real, f"{os.path.realpath(folder)}/{leaf}")):
            if place.startswith(self._root + "/"):
                relative = place[len(self._root) + 1 :]
                self._keep_file(relative)
                if tree and os.path.isdir(place) and not os.path.islink(place):
                    for below, _ in walk(place):
                        self._keep_file(f"{relative}/{below}")

    def seen_before(self, path: str) -> str:
        """Where the state before the run of a path can be looked at (all was copied)."""
        if path.startswith(self._root + "/"):
            return os.path.join(self._before, path[len(self._root) + 1 :])
        return path

    def finish(self, upper: str) -> list[tuple[str, Change]]:
        """The changes, sorted by path; what was written is copied to ``upper``."""
        now = State.of(self._root)
        changes: list[tuple[str, Change]] = []
        for path, stamp in now.files.items():
            before = self._stamps.get(path)
            if stamp == before or stamp == self._seed_stamps.get(path):
                continue
            changes.append((path, Change.CREATED if before is None else Change.CHANGED))
            _copy_into(self._root, upper, path)
        for path in self._stamps:
            if path not in now.files and path not in self._seed:
                changes.append((path, Change.DELETED))
                # A folder that lost files but is still there differs from one that is gone.
                for folder in _parents(path):
                    if folder in now.folders:
                        os.makedirs(os.path.join(upper, folder), exist_ok=True)
        for path in self._seed:
            if path in now.files:
                _copy_into(self._root, upper, path)
                os.unlink(os.path.join(self._root, path))
        return sorted(changes, key=lambda pair: os.fsencode(pair[0]))

    def undo(self) -> None:
        """Put the folder back after a run that did not finish."""
        if self._began:
            changed = list(State.of(self._root).files)
            put_back(self._root, self._before, changed)

    def _hide_one(self, path: str) -> None:
        place = os.path.join(self._root, path)
        if not os.path.lexists(place):
            return
        self.keep(place, tree=True)
        if self.trouble:
            raise OSError(f"{printable(path)} cannot be hidden: {self.trouble[0]}")
        if os.path.isdir(place) and not os.path.islink(place):
            shutil.rmtree(place)
        else:
            os.unlink(place)
        for known in [name for name in self._stamps if name == path or name.startswith(path + "/")]:
            del self._stamps[known]

    def _keep_file(self, relative: str) -> None:
        if relative in self._kept:
            return
        self._kept.add(relative)
        try:
            status = os.lstat(os.path.join(self._root, relative))
        except OSError:
            return
        if relative in self._stamps and _kept_kind(status):
            try:
                _copy_into(self._root, self._before, relative)
            except OSError as error:
                self.trouble.append(
                    f"the first state of {printable(relative)} could not be kept: {error.strerror}"
                )


def put_back(root: str, before: str, changed: Collection[str]) -> None:
    """Undo a run in place: ``changed`` are the paths that it may have made or changed.

    Nothing that was there before the run is ever removed unless its copy in ``before``
    takes its place; a file whose rights or time alone changed gets these back.
    """
    state = State.load(state_file(before))
    for path in changed:
        target = os.path.join(root, path)
        if path not in state.files and _is_file(target):
            os.unlink(target)
    for folder in sorted(state.folders, key=len):
        _folder_back(os.path.join(root, folder), state.folders[folder])
    kept = {path for path, status in walk(before) if not stat.S_ISDIR(status.st_mode)}
    for path, stamp in state.files.items():
        target = os.path.join(root, path)
        now = _status(target)
        if now is not None and _stamp(now) == stamp:
            continue
        if path in kept:
            _file_back(os.path.join(before, path), target, now, stamp)
        elif now is not None and stat.S_ISREG(now.st_mode) and now.st_size == stamp[0]:
            os.chmod(target, stat.S_IMODE(stamp[3]))
            os.utime(target, ns=(now.st_atime_ns, stamp[1]))
    _remove_new_folders(root, state)


def state_file(before: str) -> str:
    """Where the state of the folder before an in-place run is written."""
    return before + ".state"


def copy_file(source: str, target: str) -> None:
    """Copy a file or link with its times and mode, sharing blocks where it can be done."""
    if not os.path.islink(source):
        with contextlib.suppress(OSError), open(source, "rb") as old, open(target, "wb") as new:
            fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
            shutil.copystat(source, target)
            return
    shutil.copy2(source, target, follow_symlinks=False)


def _copy_into(root: str, folder: str, path: str) -> None:
    target = os.path.join(folder, path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    copy_file(os.path.join(root, path), target)


def _folder_back(target: str, mode: int) -> None:
    now = _status(target)
    if now is not None and not stat.S_ISDIR(now.st_mode):
        os.unlink(target)
        now = None
    if now is None:
        os.mkdir(target)
    if now is None or now.st_mode != mode:
        os.chmod(target, stat.S_IMODE(mode))


def _file_back(source: str, target: str, now: os.stat_result | None, stamp: _Stamp) -> None:
    was_file = stat.S_ISREG(stamp[3])  # the inode of a link that is gone may serve a new file
    if now is not None and now.st_ino == stamp[2] and was_file and stat.S_ISREG(now.st_mode):
        # The same file, overwritten: in place again, for its other hard links.
        with contextlib.suppress(OSError):
            shutil.copyfile(source, target)
            shutil.copystat(source, target)
            return
    if now is not None and stat.S_ISDIR(now.st_mode):
        shutil.rmtree(target)
    elif now is not None:
        os.unlink(target)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    copy_file(source, target)


def _remove_new_folders(root: str, state: State) -> None:
    folders = [path for path, status in walk(root) if stat.S_ISDIR(status.st_mode)]
    for path in sorted(folders, key=len, reverse=True):
        if path not in state.folders:
            with contextlib.suppress(OSError):
                os.rmdir(os.path.join(root, path))


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _kept_kind(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)


def _is_file(path: str) -> bool:
    status = _status(path)
    return status is not None and not stat.S_ISDIR(status.st_mode)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_mode
