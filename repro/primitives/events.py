"""Progress events: the core emits them, the command line draws them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from repro.primitives.frozen import frozen


class EventKind(Enum):
    """What an event says about a phase."""

    BEGIN = "begin"
    PROGRESS = "progress"
    DONE = "done"
    WARNING = "warning"
    NOTE = "note"


@frozen
class Event:
    """One thing that happened: ``phase`` is a word like ``pack``, ``text`` for people.

    ``done`` and ``total`` are bytes where known, ``files`` and ``all_files`` counts beside
    them; ``seconds`` is the phase's duration.
    """

    kind: EventKind
    phase: str
    text: str = ""
    done: int | None = None
    total: int | None = None
    files: int | None = None
    all_files: int | None = None
    seconds: float | None = None
    code: str | None = None


_INTERVAL = 0.1

Observer = Callable[[Event], None]


def silent(event: Event) -> None:
    """An observer that ignores everything."""


def done(phase: str, text: str, seconds: float | None = None) -> Event:
    """The end of a phase."""
    return Event(kind=EventKind.DONE, phase=phase, text=text, seconds=seconds)


class Told(Protocol):
    """Hears how much was done; ``text`` is what is worked on."""

    text: str

    def add(self, count: int, files: int = 0) -> None:
        """So many bytes and files more."""
        ...


class Tally:
    """Adds up the bytes and files that several threads tell of, and passes the progress on.

    At most ten times a second, and when all is done. ``text`` is what is worked on.
    """

    def __init__(
        self, phase: str, total: int, observer: Observer, *, files: int | None = None
    ) -> None:
        self.text = ""
        self._phase = phase
        self._total = total
        self._observer = observer
        self._done = 0
        self._files: int | None = None if files is None else 0
        self._all_files = files
        self._lock = threading.Lock()
        self._next = 0.0

    def add(self, count: int, files: int = 0) -> None:
        """So many bytes and files more; fewer when negative."""
        with self._lock:
            self._done += count
            if self._files is not None:
                self._files += files
            now = time.monotonic()
            if now < self._next and self._done != self._total:
                return
            self._next = now + _INTERVAL
            self._observer(
                Event(
                    kind=EventKind.PROGRESS, phase=self._phase, text=self.text,
                    done=self._done, total=self._total,
                    files=self._files, all_files=self._all_files,
                )
            )  # fmt: skip
