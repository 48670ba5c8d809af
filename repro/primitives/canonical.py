"""The one byte form of JSON, a strict reader for it, and the fixed clock.

Sorted keys, no white space, ASCII only, no floats (RFC 8785 is stricter about
numbers; we simply have none). Text that is not UTF-8 (file names) travels as lone
surrogates, escaped, so that every path survives the round trip.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from repro.errors import ArchiveError

CLAMP = 1_577_836_800
"""2020-01-01T00:00:00Z: the modification time of everything inside an archive."""

CLAMP_TEXT = "2020-01-01T00:00:00Z"

MAX_BYTES = 64 << 20
MAX_DEPTH = 64


def dump(value: object) -> bytes:
    """Serialise to the canonical form. Raises TypeError on a float: use a string."""
    _refuse_floats(value)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.encode("ascii")


def load(data: bytes, what: str, *, limit: int = MAX_BYTES) -> Any:
    """Parse untrusted JSON strictly.

    ``what`` names the document in errors. Raises ArchiveError on more than ``limit``
    bytes, on more than 64 levels, duplicate keys, NaN or anything that is not JSON.
    """
    if len(data) > limit:
        raise ArchiveError(f"{what} is larger than {limit} bytes", slug="archive-json")
    _check_depth(data, what)
    try:
        return json.loads(data, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"{what} is not valid JSON: {error}", slug="archive-json") from None


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


def _check_depth(data: bytes, what: str) -> None:
    # Cheap upper bound before the recursive parser sees it: brackets in strings count too,
    # so only documents over the bound are measured exactly.
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    depth = deepest = 0
    in_string = escaped = False
    for byte in data:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in (0x5B, 0x7B):
            depth += 1
            deepest = max(deepest, depth)
        elif byte in (0x5D, 0x7D):
            depth -= 1
    if deepest > MAX_DEPTH:
        raise ArchiveError(f"{what} is nested more than {MAX_DEPTH} deep", slug="archive-json")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")
