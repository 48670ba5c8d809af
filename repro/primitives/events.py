"""Progress events: the core emits them, the command line draws them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum

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

    ``done`` and ``total`` are bytes where known; ``seconds`` is the phase's duration.
    """

    kind: EventKind
    phase: str
    text: str = ""
    done: int | None = None
    total: int | None = None
    seconds: float | None = None
    code: str | None = None


Observer = Callable[[Event], None]


def silent(event: Event) -> None:
    """An observer that ignores everything."""


def done(phase: str, text: str, seconds: float | None = None) -> Event:
    """The end of a phase."""
    return Event(kind=EventKind.DONE, phase=phase, text=text, seconds=seconds)


class Tally:
    """Adds up the bytes that several threads tell of, and passes the progress on."""

    def __init__(self, phase: str, total: int, observer: Observer) -> None:
        self._phase = phase
        self._total = total
        self._observer = observer
        self._done = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """So many bytes more; fewer when negative."""
        with self._lock:
            self._done += count
            self._observer(
                Event(
                    kind=EventKind.PROGRESS, phase=self._phase, done=self._done, total=self._total
                )
            )
