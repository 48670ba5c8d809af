"""Paths of one machine as paths that tell nobody: whole prefixes, wherever they stand in a text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from repro.primitives.frozen import frozen

NEUTRAL_HOME = "/home/repro"
_END = r"(?![A-Za-z0-9_-]|\.[A-Za-z0-9])"


@frozen
class PathMap:
    """``pairs`` of an absolute path and what stands for it; the longest that fits counts.

    ``text`` keeps everything else of a text as it is. ``same_length`` is for bytes whose
    lengths count (programs, bytecode): a shorter path is filled up with slashes, which path
    resolution ignores; ``aliases`` are short links (path and target) for paths that have no
    room for the new one.
    """

    pairs: tuple[tuple[str, str], ...]

    def text(self, text: str) -> str:
        """A text with the paths in it mapped."""
        return self._pattern().sub(lambda match: self._new(match.group()), text)

    def data(self, data: bytes) -> bytes:
        """The same for bytes."""
        text = data.decode("utf-8", "surrogateescape")
        return self.text(text).encode("utf-8", "surrogateescape")

    def same_length(self, data: bytes) -> bytes:
        """Bytes with the paths in them mapped and nothing moved. Raises ValueError without room."""

        def filled(match: re.Match[bytes]) -> bytes:
            old = match.group().decode("utf-8", "surrogateescape")
            new = self._new(old)
            room = len(match.group())
            made = new.encode("utf-8", "surrogateescape")
            if len(made) > room:
                made = _alias(self._number(old)).encode()
            if len(made) > room:
                raise ValueError(f"no room for {made!r}")
            return made + b"/" * (room - len(made))

        return re.compile(self._pattern().pattern.encode("utf-8", "surrogateescape")).sub(
            filled, data
        )

    def holds(self, data: bytes) -> bool:
        """Whether bytes may hold one of the old paths (a quick look)."""
        return any(old.encode("utf-8", "surrogateescape") in data for old, _ in self.pairs)

    @property
    def aliases(self) -> tuple[tuple[str, str], ...]:
        """Short links for the paths that are shorter than what stands for them."""
        return tuple(
            (_alias(number), new)
            for number, (old, new) in enumerate(self.pairs)
            if len(old) < len(new)
        )

    def _pattern(self) -> re.Pattern[str]:
        ordered = sorted((old for old, _ in self.pairs), key=len, reverse=True)
        return re.compile("(?:" + "|".join(map(re.escape, ordered)) + ")" + _END)

    def _new(self, old: str) -> str:
        return dict(self.pairs)[old]

    def _number(self, old: str) -> int:
        return [each for each, _ in self.pairs].index(old)


def _alias(number: int) -> str:
    return f"/r{number}"


def path_map(
    *,
    root: str,
    homes: Iterable[str],
    name: str,
    caches: tuple[str, str],
    user: str,
    texts: Iterable[str],
) -> PathMap:
    """The map of one snapshot.

    ``root`` is the project, ``homes`` folders that become ``NEUTRAL_HOME``, ``caches`` the run's
    scratch folder and what stands for it. Folders elsewhere named like the ``user``
    (``/scratch/ann``), as far as ``texts`` name them, become one named repro.
    """
    pairs = {root: f"{NEUTRAL_HOME}/{name}", caches[0]: caches[1]}
    pairs |= {home.rstrip("/"): NEUTRAL_HOME for home in homes}
    if user:
        folder = re.compile(rf"((?:/[^/\s:;,\"'=]+)*)/{re.escape(user)}(?=[/:;,\s\"']|\Z)")
        for text in texts:
            for match in folder.finditer(text):
                old = match.group()
                # In the project a name stays: programs name it relative to where they run.
                if old not in pairs and not old.startswith(root + "/"):
                    above = PathMap(pairs=tuple(pairs.items())).text(match.group(1))
                    pairs[old] = f"{above}/repro"
    return PathMap(pairs=tuple(pairs.items()))
