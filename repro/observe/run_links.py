"""Symbolic links that the run itself made: what is read through them lies elsewhere.

From outside the project's overlay they are not there, and after the run they may be gone;
so what they lead to is noted when it is opened (workflow engines stage inputs this way).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

_MAX_LINKS = 40  # path_resolution(7)


@dataclass
class RunLinks:
    """By the absolute path of each link, as it was spelled, its text."""

    texts: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.texts)

    def made(self, path: str, text: str) -> None:
        """A link was made."""
        self.texts[path] = text

    def removed(self, path: str) -> None:
        """The link, or the folder with links in it, is gone."""
        for link in self._below(path):
            del self.texts[link]

    def moved(self, old: str, new: str) -> None:
        """A link, or a folder with links in it, has another name now."""
        self.removed(new)
        for link in self._below(old):
            self.texts[new + link[len(old) :]] = self.texts.pop(link)

    def behind(self, path: str) -> str | None:
        """Where ``path`` leads through links of the run, None when through none of them.

        A link that was made under another spelling of its folder is not recognised, and
        ``..`` in its text is taken as written: the folder may be the run's own as well.
        """
        found = None
        for _ in range(_MAX_LINKS):
            link = self._first(path)
            if link is None:
                return found
            text = self.texts[link]
            start = text if text.startswith("/") else f"{link.rpartition('/')[0]}/{text}"
            found = path = os.path.normpath(start) + path[len(link) :]
        return None

    def _first(self, path: str) -> str | None:
        """The first part of a path that is a link of the run."""
        if not self.texts:
            return None
        end = path.find("/", 1)
        while end > 0:
            if path[:end] in self.texts:
                return path[:end]
            end = path.find("/", end + 1)
        return path if path in self.texts else None

    def _below(self, path: str) -> list[str]:
        return [link for link in self.texts if link == path or link.startswith(path + "/")]
