"""Real places behind the paths a program spelled, with every link on the way."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

_MAX_LINKS = 64
Lstat = Callable[[str], os.stat_result]


class Resolver:
    """Walks paths component by component as the kernel does (path_resolution(7)).

    ``on_link`` is told of each symlink met: its own path (real parent) and its text.
    Answers are cached per folder.
    """

    def __init__(self, on_link: Callable[[str, str], None]) -> None:
        self._on_link = on_link
        self._folders: dict[str, str] = {"/": "/", "": "/"}

    def real(self, path: str) -> str | None:
        """The symlink-free path, or None when something on the way is missing."""
        folder, _, leaf = path.rpartition("/")
        real_folder = self._folder(folder or "/")
        if real_folder is None:
            return None
        return self._step(real_folder, leaf, 0)

    def place(self, path: str) -> str | None:
        """The path itself, its folder free of links; None when that folder is missing."""
        folder, _, leaf = path.rpartition("/")
        real = self._folder(folder or "/")
        return None if real is None else f"{real.rstrip('/')}/{leaf}"

    def _folder(self, folder: str) -> str | None:
        known = self._folders.get(folder)
        if known is None:
            found = self._walk("/", folder.split("/"), 0)
            if found is None:
                return None
            known = self._folders[folder] = found
        return known

    def _walk(self, at: str, parts: list[str], links: int) -> str | None:
        for part in parts:
            found = self._step(at, part, links)
            if found is None:
                return None
            at = found
        return at

    def _step(self, at: str, part: str, links: int) -> str | None:
        if part in ("", "."):
            return at
        if part == "..":
            return at.rpartition("/")[0] or "/"
        path = f"{at.rstrip('/')}/{part}"
        try:
            mode = os.lstat(path).st_mode
        except OSError:
            return None
        if not stat.S_ISLNK(mode):
            return path
        if links >= _MAX_LINKS:
            return None
        target = os.readlink(path)
        self._on_link(path, target)
        return self._walk("/" if target.startswith("/") else at, target.split("/"), links + 1)
