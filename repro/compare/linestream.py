"""Lines of a file that need not fit into memory, and where two such files are the same again."""

from __future__ import annotations

import codecs
import itertools
import re
from collections import deque
from typing import BinaryIO

from repro.compare.base import Beyond, Damaged
from repro.compare.parting import first_difference

BLOCK = 1 << 20
_LONGEST_LINE = 32 << 20
_LONE_RETURN = re.compile(rb"(?<=\r)(?!\n)")


class Lines:
    """The lines of UTF-8 text with their ends, one by one, with a look ahead.

    As an iterator it gives text. Raises Damaged for bytes that are no text, Beyond for a
    line of more than 32 MiB.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        self.number = 0
        self.returns = False
        self.dropped = 0
        self.last = b""
        self._stream = stream
        self._buffer = b""
        self._at = 0
        self._ahead: deque[bytes] = deque()
        head = self.window(len(codecs.BOM_UTF8))
        if head.startswith(codecs.BOM_UTF8):
            self._at += len(codecs.BOM_UTF8)

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        line = self.take()
        if not line:
            raise StopIteration
        return self.decode(line)

    def decode(self, line: bytes) -> str:
        """The text of the line that was taken last."""
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise self.malformed(f"byte {error.start} is not utf-8") from None
        if "\0" in text:
            raise self.malformed("it holds NUL bytes")
        return text

    def malformed(self, why: str) -> Damaged:
        """The error that names this side and line."""
        return Damaged(f"the {self.name} file is malformed, line {self.number}: {why}")

    def take(self) -> bytes:
        """The next line with its end, empty after the last one."""
        line = self._ahead.popleft() if self._ahead else self._line()
        if line:
            self.number += 1
            self.last = line
            self.returns = self.returns or line.endswith(b"\r\n")
        return line

    def drop(self, count: int) -> None:
        """Take lines that were looked at."""
        lines = [self._ahead.popleft() for _ in range(count)]
        if lines:
            self.number += count
            self.last = lines[-1]
            self.returns = self.returns or any(line.endswith(b"\r\n") for line in lines)

    def ahead(self, count: int) -> list[bytes]:
        """The next lines without taking them, fewer at the end."""
        while len(self._ahead) < count:
            line = self._line()
            if not line:
                break
            self._ahead.append(line)
        return list(itertools.islice(self._ahead, count))

    def _line(self) -> bytes:
        found = self._buffer.find(b"\n", self._at)
        while found < 0:
            size = len(self._buffer) - self._at
            if size > _LONGEST_LINE:
                raise Beyond(f"a line is longer than {_LONGEST_LINE >> 20} MiB")
            if not self._more():
                found = len(self._buffer) - 1
                break
            found = self._buffer.find(b"\n", self._at + size)
        line = self._buffer[self._at : found + 1]
        if b"\r" in line[:-2]:
            # The lines of old Macs end with a return alone.
            end = _LONE_RETURN.search(line)
            line = line[: end.start()] if end is not None and end.start() else line
        self._at += len(line)
        return line

    def _more(self) -> bool:
        piece = self._stream.read(BLOCK)
        self._buffer = self._buffer[self._at :] + piece
        self._at = 0
        return bool(piece)

    def window(self, size: int) -> bytes:
        """The next bytes without taking them, fewer at the end. Only with no lines ahead."""
        while len(self._buffer) - self._at < size:
            if not self._more():
                break
        return self._buffer[self._at : self._at + size]

    def rewind(self) -> None:
        """Forget what was looked at and not taken: it will come again."""
        if self._ahead:
            self._buffer = b"".join(self._ahead) + self._buffer[self._at :]
            self._at = 0
            self._ahead.clear()

    def skip(self, size: int, lines: int) -> None:
        """Leave out bytes of the window that end ``lines`` lines."""
        self._at += size
        self.number += lines
        self.last = b"\n"


def skip_same(old: Lines, new: Lines, *, quotes: bool = True) -> int:
    """Skip lines that are the same bytes on both sides; how many.

    It stops before the first line that differs, and with ``quotes`` before the first that
    holds one: only such a line of a table can belong to the next one.
    """
    skipped = 0
    old.rewind()
    new.rewind()
    while True:
        one, two = old.window(BLOCK), new.window(BLOCK)
        size = min(len(one), len(two))
        if one[:size] != two[:size]:
            size = first_difference(one[:size], two[:size])
        quote = one.find(b'"', 0, size) if quotes else -1
        end = one.rfind(b"\n", 0, size if quote < 0 else quote) + 1
        if end == 0 or one.find(b"\0", 0, end) >= 0 or one.find(b"\r", 0, end) >= 0:
            break
        _check(one[:end], old)
        lines = one.count(b"\n", 0, end)
        old.skip(end, lines)
        new.skip(end, lines)
        skipped += lines
        if end < BLOCK // 2:
            break
    return skipped


def _check(data: bytes, side: Lines) -> None:
    if not data.isascii():
        side.decode(data)
