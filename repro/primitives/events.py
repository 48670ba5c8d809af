"""Progress events: the core emits them, the command line draws them."""

from __future__ import annotations

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
