"""Which files of the project itself go into the image, and what never does."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterator, Sequence

from repro.model.folders import CACHES, is_environment
from repro.model.observation import LeftOut
from repro.primitives.frozen import frozen
from repro.primitives.texts import human_size

UNREAD_LIMIT = 64_000_000
"""Unread project files travel along (licence, README, sources) up to this many bytes."""


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
        along when they are small altogether. Folders always come: a program may write into
        one that holds nothing but old results.
        """
        unread: list[str] = []
        for path in self._walk():
            if isinstance(path, LeftOut):
                yield path
            elif isinstance(path, _Folder) or path in needed or path.rpartition("/")[0] in listed:
                yield path
            elif self.matches(path[len(self.root) + 1 :], self.include):
                yield path
            else:
                unread.append(path)
        total = sum(os.lstat(path).st_size for path in unread)
        if total <= UNREAD_LIMIT:
            yield from unread
        else:
            whose, hint = self.whose, ""
            if whose is None:
                whose, hint = "project files", "; inputs.include in repro.yml packs them"
            yield LeftOut(
                path=self.root,
                reason=f"{len(unread)} {whose} ({human_size(total)}) that the run did not read{hint}",
            )

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
            yield _Folder(folder)
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in CACHES and not self._excluded(entry.path):
                        pending.append(entry.path)
                else:
                    yield from self._one(entry.path, entry.name)

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
