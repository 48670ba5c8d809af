"""JSON of any size, a window of its text at a time: values that fit into it are parsed whole."""

from __future__ import annotations

import io
import json
import math
import re
import time
from typing import Any, BinaryIO

from repro.compare.base import Beyond, Malformed
from repro.primitives.canonical import unique_keys

WINDOW = 1 << 20
"""Characters; a value that is longer is gone through piece by piece."""
MAX_DEPTH = 100
_LONGEST_TEXT = 32 << 20
_MARGIN = 1 << 13
_ESCAPE = 16
"""More than the characters of an escape, which the end of a window may part."""
_SPACE = " \t\n\r"
_BATCH = 1 << 16
_TAIL, _TRIES = 1 << 13, 4
_ENDS = re.compile(r"([\]}\s]{0,40}),")
_CLOSING = {"[": "]", "{": "}"}
_scan = json.JSONDecoder(object_pairs_hook=unique_keys).scan_once  # type: ignore[attr-defined]


class Document:
    """The text of one side and the place in it that was reached.

    Reading on after ``seconds`` of clock raises Beyond.
    """

    def __init__(
        self, stream: BinaryIO, encoding: str = "utf-8-sig", seconds: float = math.inf
    ) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._stream = io.TextIOWrapper(stream, encoding=encoding, newline="")
        self._ended = False
        self._before = 0
        self.text = ""
        self.at = 0

    @property
    def position(self) -> int:
        """How many characters were passed."""
        return self._before + self.at

    @classmethod
    def of(cls, value: object) -> Document:
        """A value that was parsed, once more as text."""
        return cls(io.BytesIO(json.dumps(value).encode()))

    def more(self, size: int = 0) -> bool:
        """Have so many characters more in the window, or a window; false where there are none."""
        if self._ended:
            return False
        if time.monotonic() > self._deadline:
            raise Beyond(f"it takes more than {self._seconds:.0f} seconds to read")
        try:
            piece = self._stream.read(size or WINDOW)
        except UnicodeDecodeError as error:
            raise Malformed(f"it is not {error.encoding}") from None
        if "\0" in piece:
            raise Malformed("it holds NUL bytes")
        if not piece:
            self._ended = True
            return False
        self._before += self.at
        self.text, self.at = self.text[self.at :] + piece, 0
        return True

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            text, at, end = self.text, self.at, len(self.text)
            while at < end and text[at] in _SPACE:
                at += 1
            self.at = at
            if at < end or not self.more():
                return text[at : at + 1] if at < end else ""

    def take(self, *wanted: str) -> str:
        """Pass one of these characters. Raises Malformed for any other one."""
        found = self.peek()
        if found not in wanted or not found:
            raise Malformed(f"{' or '.join(wanted)} is missing before {found or 'the end'!r}")
        self.at += 1
        return found

    def fits(self) -> tuple[Any] | None:
        """The next value, passed; None, and nothing passed, where it is longer than a window."""
        first = self.peek()
        while True:
            try:
                value, end = _scan(self.text, self.at)
            except (StopIteration, json.JSONDecodeError) as error:
                known = len(self.text) - self.at
                if not self._cut_off(first, known, error):
                    raise Malformed(f"not JSON: {error}") from None
                if first in _CLOSING and known >= WINDOW:
                    return None
                if known > _LONGEST_TEXT:
                    raise Beyond(f"a text is longer than {_LONGEST_TEXT >> 20} MiB") from None
                self.more(max(known, WINDOW))
                continue
            except RecursionError:
                raise Beyond(f"nested more than {MAX_DEPTH} deep") from None
            except ValueError as error:
                raise Malformed(str(error)) from None
            # A number may go on behind the window.
            if first not in _CLOSING and end + _MARGIN > len(self.text) and self.more():
                continue
            self.at = end
            return (value,)

    def _cut_off(self, first: str, known: int, error: Exception) -> bool:
        """Whether a value that is no JSON may only end behind the window."""
        if self._ended:
            return False
        if first == '"':
            near = getattr(error, "pos", 0) > len(self.text) - _ESCAPE
            return near or str(error).startswith("Unterminated")
        return first in _CLOSING if first and known >= _MARGIN else True

    def batch(self, opening: str) -> tuple[Any, str] | None:
        """Many of the next items at once, in a container of their own, and their text.

        None where that does not succeed, which tells nothing. The text ends with the comma
        behind the last one, and is not passed.
        """
        if len(self.text) - self.at < _BATCH and not self.more():
            return None
        for cut in self._cuts():
            text = self.text[self.at : cut]
            try:
                value, length = _scan(f"{opening}{text[:-1]}{_CLOSING[opening]}", 0)
            except (StopIteration, ValueError, RecursionError):
                continue
            if value and length == len(text) + 1:
                return value, text
        return None

    def _cuts(self) -> list[int]:
        """Behind which commas items may end: most closing brackets first."""
        end = min(len(self.text), self.at + _BATCH)
        found: dict[str, int] = {}
        for match in _ENDS.finditer(self.text, max(self.at, end - _TAIL), end):
            found[match[1]] = match.end()
        return [found[run] for run in sorted(found, key=len, reverse=True)[:_TRIES]]

    def starts_with(self, text: str) -> bool:
        """Whether the other side's text comes next."""
        if len(self.text) - self.at < len(text):
            self.more()
        return self.text.startswith(text, self.at)

    def end(self) -> None:
        """Only white space is left. Raises Malformed."""
        if self.peek():
            raise Malformed("there is more behind the value")
