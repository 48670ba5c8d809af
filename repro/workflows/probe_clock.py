"""Another date and time of day for a rerun, by this machine's libfaketime.

A sandbox has the clock of its kernel, and no namespace moves the date. A library that is loaded
before all others can give programs another one. It is a copy of the host's own, lies in an extra
lowest layer and runs in the sandbox alone. Static programs and those of another libc do not load
it, and see the true date.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from repro.primitives.frozen import frozen
from repro.workflows.places import scratch

LIBRARIES = ("usr/lib/*/faketime", "usr/lib64/faketime", "usr/lib/faketime")
"""Where distributions put the library, below the root."""
_NAME = "libfaketimeMT.so.1"
INSIDE = f"/.repro-clock/{_NAME}"
"""Where a sealed rerun finds it."""
LATER = 404 * 86_400 + 12_345
"""Seconds by which the date moves: another year, month, weekday, hour and minute."""
MISSING = (
    "this machine has no libfaketime (`apt install libfaketime`); seconds passed between the "
    "reruns, so they saw another time of day, but the same date"
)
# An offset, not a start: a date to start at would begin anew in every process. Files keep
# their own times, so that those of the archive do not seem to be of another day.
_SET = {"FAKETIME": f"+{LATER}", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}


class Loads(Protocol):
    """Whether a library can be loaded into the image's programs."""

    def loads(self, path: str, lowest: str, variables: Mapping[str, str]) -> bool:
        """Whether the library at ``path`` of the extra layer ``lowest`` starts inside."""
        ...


@frozen
class Clock:
    """``layer`` is the extra lowest layer with the library, None when there is none, with
    ``why``."""

    layer: str | None
    why: str = ""


def moved(preloaded: str | None) -> dict[str, str]:
    """The variables under which programs see another date, beside what they preload already."""
    return {**_SET, "LD_PRELOAD": f"{preloaded}:{INSIDE}" if preloaded else INSIDE}


@contextlib.contextmanager
def other_clock(asked: Loads, runs: Path, found: Sequence[Path]) -> Iterator[Clock]:
    """A layer in a scratch folder below ``runs`` with the first of the ``found`` libraries that
    programs of the image load (same architecture, a glibc that is new enough)."""
    if not found:
        yield Clock(layer=None, why=MISSING)
        return
    with scratch(runs, "clock") as folder:
        for number, library in enumerate(found):
            layer = folder / str(number)
            try:
                _lay(library, layer)
            except OSError as error:
                yield Clock(layer=None, why=f"libfaketime cannot be copied: {error.strerror}")
                return
            if asked.loads(INSIDE, str(layer), moved(None)):
                yield Clock(layer=str(layer))
                return
        yield Clock(
            layer=None,
            why="the image's programs do not load this machine's libfaketime (no dynamic program, "
            "or another architecture or libc)",
        )


def libraries(root: Path = Path("/"), owner: int = 0) -> Sequence[Path]:
    """The machine's libfaketime for each architecture: files that ``owner`` (root) alone may
    write, in folders of the system."""
    places = [folder / _NAME for where in LIBRARIES for folder in sorted(root.glob(where))]
    return [place for place in places if _trusted(place, owner)]


def _trusted(place: Path, owner: int) -> bool:
    try:
        true = place.resolve(strict=True)
        states = [true.stat(), true.parent.stat()]
    except OSError:
        return False
    shared = stat.S_IWGRP | stat.S_IWOTH
    return stat.S_ISREG(states[0].st_mode) and all(
        state.st_uid == owner and not state.st_mode & shared for state in states
    )


def _lay(library: Path, layer: Path) -> None:
    place = Path(f"{layer}{INSIDE}")
    place.parent.mkdir(parents=True)
    shutil.copyfile(library, place)
    for path in (layer, place.parent, place):
        os.chmod(path, 0o755)
