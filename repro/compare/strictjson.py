"""JSON from strangers: depth and size bounded, a key twice is refused, NaN is allowed."""

from __future__ import annotations

import json
from typing import Any

from repro.compare.base import Beyond, Malformed
from repro.compare.plain import decode
from repro.primitives.canonical import nesting, unique_keys

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
    if nesting(text, _MAX_DEPTH) > _MAX_DEPTH:
        raise Beyond(f"nested more than {_MAX_DEPTH} deep")
    try:
        return json.loads(text, object_pairs_hook=unique_keys)
    except json.JSONDecodeError as error:
        raise Malformed(f"line {error.lineno}: {error.msg}") from None
    except ValueError as error:
        raise Malformed(str(error)) from None
