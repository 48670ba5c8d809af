"""JSON from strangers: depth and size bounded, a key twice is refused, NaN is allowed."""

from __future__ import annotations

import json
from typing import Any

from repro.compare.base import Beyond, Malformed
from repro.compare.plain import decode

_MAX_DEPTH = 100
_MAX_VALUES = 1_500_000


def parse_json(data: bytes) -> Any:
    """The value of a JSON text (with the usual NaN and Infinity).

    Raises Malformed, also for a key that appears twice (which of the two is meant?), and
    Beyond for more than 100 levels or 1.5 million values.
    """
    if data.count(b",") + data.count(b"[") + data.count(b"{") > _MAX_VALUES:
        raise Beyond(f"more than {_MAX_VALUES} values in one document")
    text = decode(data)
    if _depth(text) > _MAX_DEPTH:
        raise Beyond(f"nested more than {_MAX_DEPTH} deep")
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise Malformed(f"line {error.lineno}: {error.msg}") from None
    except ValueError as error:
        raise Malformed(str(error)) from None


def _depth(text: str) -> int:
    # An upper bound first: most documents have few brackets or are flat.
    if text.count("[") + text.count("{") <= _MAX_DEPTH:
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


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return found
