"""Draw progress events on stderr: one line per finished phase (reach.md 5.4)."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TextIO

from repro.primitives.events import Event, EventKind, Observer
from repro.primitives.texts import human_size, human_time, printable

_INTERVAL = 0.1
_SOON = 1.0
"""Seconds before a time left is guessed."""
_drawn: list[_Terminal] = []


def observer_for(*, quiet: bool, verbose: bool = False, stream: TextIO | None = None) -> Observer:
    """An observer that draws on ``stream`` (default stderr), or keeps quiet.

    What is running is shown in one line that is written over, on a terminal only, and not
    beside ``--json``: a pipe and a log get the lines of what is finished.
    """
    out = stream if stream is not None else sys.stderr
    if quiet:
        return lambda event: None
    drawn = _Terminal(out, verbose, live=_moving(out) and not json_wanted(sys.argv))
    _drawn.append(drawn)
    return drawn.take


def settle() -> None:
    """Take the running line away: what follows on stderr begins a line of its own."""
    for each in _drawn:
        each.clear()


def json_wanted(words: Sequence[str]) -> bool:
    """Whether a command line asks repro for JSON (behind ``--`` are another program's words)."""
    own = list(words)
    return "--json" in (own[: own.index("--")] if "--" in own else own)


def _moving(out: TextIO) -> bool:
    return out.isatty() and os.environ.get("TERM") != "dumb"


def _columns() -> int:
    import shutil  # not before it is needed: docs/decisions/0005

    return shutil.get_terminal_size().columns


def unicode_out(stream: TextIO) -> bool:
    """Whether the stream can show marks beyond ASCII."""
    return (stream.encoding or "").lower().replace("-", "") in ("utf8", "utf16")


def colour_out(stream: TextIO) -> bool:
    """Whether colours are wanted: FORCE_COLOR, NO_COLOR, TERM=dumb, a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


class _Terminal:
    """Lines for finished phases; a running line only where it can be overwritten."""

    def __init__(self, out: TextIO, verbose: bool, *, live: bool) -> None:
        self._out = out
        self._verbose = verbose
        self._live = live
        self._shown = False
        self._pace = _Pace()
        self._next = 0.0

    def take(self, event: Event) -> None:
        if event.kind is EventKind.PROGRESS or event.kind is EventKind.BEGIN:
            self._running(event)
        elif event.kind is EventKind.DONE:
            self._line("ok ", event)
        elif event.kind is EventKind.WARNING:
            self._line("!  ", event)
        elif self._verbose:
            self._line("-  ", event)

    def clear(self) -> None:
        if self._shown:
            self._out.write("\r\x1b[K")
            self._out.flush()
            self._shown = False

    def _line(self, mark: str, event: Event) -> None:
        self.clear()
        took = f"  {human_time(event.seconds)}" if event.seconds is not None else ""
        code = f"  [{event.code}]" if event.code else ""
        text = printable(event.text, 300)
        self._out.write(f"  {mark} {event.phase:<9} {text}{code}{took}\n")
        self._out.flush()

    def _running(self, event: Event) -> None:
        if not self._live:
            return
        now = time.monotonic()
        left = self._pace.left(event, now)
        last = event.done is not None and event.done == event.total
        if now < self._next and event.kind is EventKind.PROGRESS and not last:
            return
        self._next = now + _INTERVAL
        parts = [printable(event.text, 40), *_figures(event)]
        if left is not None:
            parts.append(f"{left:.0f}s left" if left < 60 else f"{human_time(left)} left")
        text = " · ".join(part for part in parts if part)
        # A line that wraps could not be written over.
        width = max(20, _columns() - 1)
        self._out.write(f"\r\x1b[K  ..  {event.phase:<9} {text}"[: width + len("\r\x1b[K")])
        self._out.flush()
        self._shown = True


class _Pace:
    """How fast a phase goes, from its first event on."""

    def __init__(self) -> None:
        self._phase: tuple[str, int | None] = ("", None)
        self._began = 0.0
        self._before = 0

    def left(self, event: Event, now: float) -> float | None:
        """Seconds to go at the pace so far; None when there is nothing to tell it by."""
        phase = (event.phase, event.total)
        if phase != self._phase:
            self._phase, self._began, self._before = phase, now, event.done or 0
        if event.done is None or not event.total or now - self._began < _SOON:
            return None
        made = event.done - self._before
        rest = event.total - event.done
        return rest * (now - self._began) / made if made > 0 and rest > 0 else None


def _figures(event: Event) -> Iterator[str]:
    """Bytes, files and share, as far as they are known."""
    if event.done is not None and event.total:
        yield f"{human_size(event.done)} of {human_size(event.total)}"
    elif event.done is not None:
        yield human_size(event.done)
    if event.files is not None and event.all_files:
        yield f"{event.files:,} of {event.all_files:,} files"
    elif event.files:
        yield f"{event.files:,} files"
    if event.done is not None and event.total:
        yield f"{min(100, 100 * event.done // event.total)} %"
