"""Draw progress events on stderr: one line per finished phase (reach.md 5.4)."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from repro.primitives.events import Event, EventKind, Observer
from repro.primitives.texts import human_size, human_time, printable

_WIDTH = 72


def observer_for(*, quiet: bool, verbose: bool = False, stream: TextIO | None = None) -> Observer:
    """An observer that draws on ``stream`` (default stderr), or keeps quiet."""
    out = stream if stream is not None else sys.stderr
    if quiet:
        return lambda event: None
    return _Terminal(out, verbose).take


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

    def __init__(self, out: TextIO, verbose: bool) -> None:
        self._out = out
        self._verbose = verbose
        self._live = out.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = False

    def take(self, event: Event) -> None:
        if event.kind is EventKind.PROGRESS:
            self._running(event)
        elif event.kind is EventKind.BEGIN:
            self._running(event)
        elif event.kind is EventKind.DONE:
            self._line("ok ", event)
        elif event.kind is EventKind.WARNING:
            self._line("!  ", event)
        elif self._verbose:
            self._line("-  ", event)

    def _line(self, mark: str, event: Event) -> None:
        self._clear()
        took = f"  {human_time(event.seconds)}" if event.seconds is not None else ""
        code = f"  [{event.code}]" if event.code else ""
        text = printable(event.text, 300)
        self._out.write(f"  {mark} {event.phase:<9} {text}{code}{took}\n")
        self._out.flush()

    def _running(self, event: Event) -> None:
        if not self._live:
            return
        self._clear()
        text = printable(event.text, 60)
        if event.done is not None and event.total:
            share = 100 * event.done // event.total
            text += f" {share:3d} % of {human_size(event.total)}"
        elif event.done is not None:
            text += f" {human_size(event.done)}"
        self._out.write(f"  ..  {event.phase:<9} {text}"[:_WIDTH])
        self._out.flush()
        self._shown = True

    def _clear(self) -> None:
        if self._shown:
            self._out.write("\r\x1b[K")
            self._shown = False
