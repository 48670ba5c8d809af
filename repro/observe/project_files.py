"""Which files of the project itself go into the image, and what never does."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterator, Sequence

from repro.model.folders import CACHES, is_environment
from repro.model.observation import LeftOut
from repro.model.written import FOLDER_MARK, HEAD, ours
from repro.primitives.files import walk
from repro.primitives.frozen import frozen
from repro.primitives.texts import human_size

UNREAD_LIMIT = 64_000_000
"""Unread project files travel along (licence, README, sources) up to this many bytes."""
SMALL = 65_536
"""Where they are more together, those of at most this size come all the same, up to that limit."""
UNSEEN_TESTS = "not packed; a program that only tests whether they exist finds none in a rerun"


class _Folder(str):
    """A folder of the project, to be told from a file without a look at the disk."""


@frozen
class ProjectFiles:
    """The project's folder, and what was declared about it (paths and patterns relative).

    ``secret`` says of an absolute path whether it stays out for its name. ``whose`` names
    the files of a folder that is not the project.
    """

    root: str
    outputs: frozenset[str]
    exclude: Sequence[str]
    include: Sequence[str]
    matches: Callable[[str, Sequence[str]], bool]
    secret: Callable[[str], bool]
    whose: str | None = None

    def choose(self, needed: Collection[str], listed: Collection[str]) -> Iterator[str | LeftOut]:
        """Absolute paths to pack, and what is left out; ``needed`` were read by the run.

        A listed folder brings all its files, since their names matter. The others come
        along when they are small altogether, else the small ones: that a file exists may matter
        to a program that never opens it (a flag, a lock, a marker of a cache). Folders always come: a program may write into
        one that holds nothing but old results. What repro itself wrote comes only when it was
        read or is asked for.
        """
        unread: list[str] = []
        for path in self._walk():
            if isinstance(path, (LeftOut, _Folder)) or path in needed:
                yield path
            elif self._included(path):
                yield path
            elif ours(_head(path)):
                yield LeftOut(path=path, reason=f"repro wrote it{self._mend()}")
            elif path.rpartition("/")[0] in listed:
                yield path
            else:
                unread.append(path)
        yield from self._unread(unread)

    def _unread(self, paths: Sequence[str]) -> Iterator[str | LeftOut]:
        sizes = {path: os.lstat(path).st_size for path in paths}
        total = sum(sizes.values())
        if total <= UNREAD_LIMIT:
            yield from paths
            return
        room = UNREAD_LIMIT
        for path in sorted(paths, key=lambda path: (sizes[path], os.fsencode(path))):
            if sizes[path] > min(SMALL, room):
                break
            room -= sizes[path]
            total -= sizes.pop(path)
            yield path
        if sizes:
            reason = (
                f"{len(sizes)} {self.whose or 'project files'} ({human_size(total)}) "
                f"that the run did not read{self._mend('them')}"
            )
            yield LeftOut(path=self.root, reason=reason)

    def _walk(self) -> Iterator[str | LeftOut]:
        pending = [self.root]
        while pending:
            folder = pending.pop()
            try:
                with os.scandir(folder) as entries:
                    found = sorted(entries, key=lambda entry: os.fsencode(entry.name))
            except OSError as error:
                yield LeftOut(path=folder, reason=f"it cannot be listed: {error.strerror}")
                continue
            names = [entry.name for entry in found]
            if folder != self.root and is_environment(folder, names):
                yield LeftOut(path=folder, reason="an environment: its packages are packed instead")
                continue
            if folder != self.root and _made(folder):
                yield LeftOut(path=folder, reason=f"repro made this folder{self._mend()}")
                yield from self._asked_for(folder)
                continue
            yield _Folder(folder)
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in CACHES and not self._excluded(entry.path):
                        pending.append(entry.path)
                else:
                    yield from self._one(entry.path, entry.name)

    def _asked_for(self, folder: str) -> Iterator[str | LeftOut]:
        """Of a folder that repro made: the files that are to be packed all the same."""
        if self.include:
            for path, status in walk(folder):
                if not stat.S_ISDIR(status.st_mode) and self._included(f"{folder}/{path}"):
                    yield from self._one(f"{folder}/{path}", path.rpartition("/")[2])

    def _included(self, path: str) -> bool:
        return self.matches(path[len(self.root) + 1 :], self.include)

    def _mend(self, what: str = "it") -> str:
        return f"; inputs.include in repro.yml packs {what}" if self.whose is None else ""

    def _one(self, path: str, name: str) -> Iterator[str | LeftOut]:
        relative = path[len(self.root) + 1 :]
        if name in CACHES or name.endswith(".pyc") or relative in self.outputs:
            return
        if self._excluded(path):
            return
        if self.secret(path):
            yield LeftOut(path=path, reason="it looks like a secret")
        elif not _packable(os.lstat(path).st_mode):
            yield LeftOut(path=path, reason="neither a file, a folder nor a link")
        else:
            yield path

    def _excluded(self, path: str) -> bool:
        return self.matches(path[len(self.root) + 1 :], self.exclude)


def _packable(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


def _made(folder: str) -> bool:
    """Whether repro made the folder, as its mark says."""
    try:
        return bool(os.getxattr(folder, FOLDER_MARK, follow_symlinks=False))
    except OSError:
        return False


def _head(path: str) -> bytes:
    """The front of a plain file; nothing when it is none, or cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, HEAD)
    except OSError:
        return b""
    finally:
        os.close(fd)
