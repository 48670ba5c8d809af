"""What is known of each path, in little memory: a million paths are some hundred megabytes.

Most paths of a run were read by the same program in the same way: they share one line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, overload

from repro.model.observation import Access


class Line(NamedTuple):
    """One path. ``fresh``: made by the run, it was not there before; the others as in Access."""

    read: bool = False
    read_first: bool = False
    written: bool = False
    executed: bool = False
    listed: bool = False
    fresh: bool = False
    reader: int | None = None
    writer: int | None = None


_NOTHING = Line()


class Lines(dict[str, Line]):
    """A line for each absolute path."""

    def __init__(self) -> None:
        super().__init__()
        self._shared: dict[Line, Line] = {}

    def note(self, path: str, **known: bool | int | None) -> None:
        """Change what is known of a path."""
        line = self.get(path, _NOTHING)._replace(**known)  # type: ignore[arg-type]
        self[path] = self._shared.setdefault(line, line)


class Accesses(Sequence[Access]):
    """The lines as accesses, one per path, sorted by bytes; each is made when it is asked for."""

    def __init__(self, lines: Mapping[str, Line]) -> None:
        self._lines = lines
        # ASCII sorts the same either way; the bytes of a million paths are not made for nothing.
        plain = all(map(str.isascii, lines))
        self._paths = sorted(lines) if plain else sorted(lines, key=os.fsencode)

    def __len__(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[Access]:
        return map(self._access, self._paths)

    @overload
    def __getitem__(self, place: int) -> Access: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Access]: ...

    def __getitem__(self, place: int | slice) -> Access | Sequence[Access]:
        if isinstance(place, slice):
            return tuple(map(self._access, self._paths[place]))
        return self._access(self._paths[place])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Accesses, tuple)):
            return NotImplemented
        return tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def _access(self, path: str) -> Access:
        line = self._lines[path]
        return Access(
            path=path, read=line.read, read_first=line.read_first, written=line.written,
            executed=line.executed, listed=line.listed, first_reader=line.reader,
            first_writer=line.writer,
        )  # fmt: skip
