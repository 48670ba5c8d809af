"""The one byte form of JSON, a strict reader for it, and the fixed clock.

Sorted keys, no white space, ASCII only, no floats (RFC 8785 is stricter about
numbers; we simply have none). Text that is not UTF-8 (file names) travels as lone
surrogates, escaped, so that every path survives the round trip.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from repro.errors import ArchiveError

CLAMP = 1_577_836_800
"""2020-01-01T00:00:00Z: the modification time of everything inside an archive."""

CLAMP_TEXT = "2020-01-01T00:00:00Z"

MAX_BYTES = 64 << 20
MAX_DEPTH = 64
MAX_NESTS = 1_000_000
"""Objects and lists in one document: each takes a hundred times its bytes in memory."""
MAX_VALUES = 3_000_000
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)
"""Made once: a file list has an entry for each file."""


def dump(value: object) -> bytes:
    """Serialise to the canonical form. Raises TypeError on a float: use a string."""
    _refuse_floats(value)
    return _ENCODER.encode(value).encode("ascii")


def load(data: bytes, what: str, *, limit: int = MAX_BYTES) -> Any:
    """Parse untrusted JSON strictly.

    ``what`` names the document in errors. Raises ArchiveError on more than ``limit``
    bytes, on more than 64 levels or more objects and values than memory is good for, on
    duplicate keys, NaN, an encoding that is not UTF-8 (RFC 8259, section 8.1) or anything
    that is not JSON.
    """
    if len(data) > limit:
        raise ArchiveError(f"{what} is larger than {limit} bytes", slug="archive-json")
    if data.count(b"{") + data.count(b"[") > MAX_NESTS or data.count(b",") > MAX_VALUES:
        raise ArchiveError(
            f"{what} has more than {MAX_NESTS} objects or {MAX_VALUES} values", slug="archive-json"
        )
    if _is_deep(data):
        raise ArchiveError(f"{what} is nested more than {MAX_DEPTH} deep", slug="archive-json")
    try:
        # Given bytes, json.loads guesses among five encodings.
        text = data.decode("utf-8")
        return json.loads(text, object_pairs_hook=unique_keys, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"{what} is not valid JSON: {error}", slug="archive-json") from None


def _is_deep(data: bytes) -> bool:
    """Whether a JSON document is nested more than MAX_DEPTH deep, or has no proper brackets."""
    brackets = _STRING.sub(b"", data).translate(None, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        # Each pass takes the innermost away; thirty times faster than a walk.
        left = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if left == brackets:
            break
        brackets = left
    return brackets.count(b"[") + brackets.count(b"{") > MAX_DEPTH or (
        b"[]" in brackets or b"{}" in brackets
    )


def source_date_epoch(environ: Mapping[str, str]) -> int:
    """The clamp: ``SOURCE_DATE_EPOCH`` when it is a whole number, else CLAMP."""
    text = environ.get("SOURCE_DATE_EPOCH", "")
    return int(text) if text.isdecimal() and len(text) < 12 else CLAMP


def _refuse_floats(value: object) -> None:
    if isinstance(value, float):
        raise TypeError("canonical JSON has no floats: write the number as text")
    if isinstance(value, Mapping):
        for inner in value.values():
            _refuse_floats(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _refuse_floats(inner)


def nesting(text: str, bound: int) -> int:
    """How deep a JSON text is nested; 0 when that is at most ``bound`` by the count alone.

    To be asked before a recursive parser sees it: most documents have few brackets.
    """
    if text.count("[") + text.count("{") <= bound:
        return 0
    depth = deepest = 0
    quoted = escaped = False
    for char in text:
        if quoted:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                quoted = False
        elif char == '"':
            quoted = True
        elif char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are each there once (an ``object_pairs_hook``). Raises ValueError."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")
