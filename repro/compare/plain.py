"""Is it text, and which: strict decoding, since a replaced character could hide a change."""

from __future__ import annotations

import codecs
import io
from typing import TextIO

from repro.compare.base import Malformed
from repro.compare.findings import Findings

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROLS = frozenset(range(32)) - {7, 8, 9, 10, 12, 13, 27}


def looks_like_text(head: bytes) -> bool:
    """Whether a file's beginning is text: no NUL or odd control bytes, decodable."""
    if not head or head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return bool(head)
    if _CONTROLS.intersection(head):
        return False
    try:
        # The head may end inside a character.
        codecs.getincrementaldecoder("utf-8")().decode(head, final=False)
    except UnicodeDecodeError:
        return False
    return True


def decode(data: bytes) -> str:
    """The text of a file. Raises Malformed when it is not UTF-8 (or marked UTF-16)."""
    try:
        text = data.decode(_encoding(data))
    except UnicodeDecodeError as error:
        raise Malformed(f"byte {error.start} is not {error.encoding}") from None
    if "\0" in text:
        raise Malformed("it holds NUL bytes")
    return text


def open_text(data: bytes) -> TextIO:
    """A stream over the text of a file that ``decode`` takes, line ends as they are."""
    return io.TextIOWrapper(io.BytesIO(data), encoding=_encoding(data), newline="")


def _encoding(data: bytes) -> str:
    return next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")


def compare_endings(old: bytes, new: bytes, findings: Findings) -> None:
    """Count it as a difference when only one side ends its last line: it may be cut off."""
    if old.endswith(b"\n") != new.endswith(b"\n"):
        findings.differ("the last line", "one side does not end its last line (cut off?)")
