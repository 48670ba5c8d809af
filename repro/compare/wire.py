"""Leaves on a pipe: how a sealed reader hands a file's content to the judge.

Each leaf is one line of JSON and then as many bytes as the line says; the last line says how
many leaves there were, so that an answer that was cut off is never taken for a whole one.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import Any, BinaryIO, NoReturn

from repro.compare.arrays import Array
from repro.compare.base import Beyond, Malformed
from repro.compare.contents import MAX_LEAVES, Blob, Content, Leaf, Texts, Tree
from repro.primitives.texts import printable

MAX_ANSWER = 320 << 20
_MAX_LINE = 1 << 16
_MAX_PLACE = 4096


def write_leaves(stream: BinaryIO, leaves: Iterable[tuple[str, Leaf]]) -> None:
    """Write leaves and the last line. Raises Beyond for more than 100,000 leaves."""
    count = 0
    for place, leaf in leaves:
        count += 1
        if count > MAX_LEAVES:
            raise Beyond(f"it holds more than {MAX_LEAVES} values")
        head, body = _pack(leaf)
        head.update(at=place[:_MAX_PLACE], bytes=len(body))
        _line(stream, head)
        stream.write(body)
    _line(stream, {"leaves": count})


def write_failure(stream: BinaryIO, kind: str, text: str) -> None:
    """Say why there is no content: ``malformed`` or ``beyond`` and a text."""
    _line(stream, {"failed": kind, "text": text[:500]})


def _line(stream: BinaryIO, head: dict[str, Any]) -> None:
    stream.write(json.dumps(head).encode() + b"\n")


def _pack(leaf: Leaf) -> tuple[dict[str, Any], bytes]:
    if isinstance(leaf, Array):
        head = {"kind": "array", "type": leaf.type, "shape": leaf.shape, "fortran": leaf.fortran}
        return head, leaf.data
    if isinstance(leaf, Texts):
        return {"kind": "texts", "shape": leaf.shape}, json.dumps(leaf.values).encode()
    if isinstance(leaf, Tree):
        return {"kind": "tree"}, json.dumps(leaf.value).encode()
    return {"kind": "bytes"}, leaf.data


def read_leaves(answer: bytes) -> Content:
    """The content of an answer.

    Raises Malformed or Beyond as the reader says, Beyond for an answer that is not whole or
    not of this form: the reader may have been taken over by the file it read.
    """
    stream = io.BytesIO(answer)
    found: dict[str, Leaf] = {}
    while True:
        head = _head(stream)
        if "failed" in head:
            _failed(head)
        if "leaves" in head:
            if head["leaves"] != len(found) or stream.read(1):
                _refuse()
            return found
        place, size = head.get("at"), head.get("bytes")
        if not isinstance(place, str) or not isinstance(size, int) or place in found:
            _refuse()
        body = stream.read(size) if 0 <= size <= len(answer) else b""
        if len(body) != size:
            _refuse()
        try:
            found[place] = _unpack(head, body)
        except (KeyError, TypeError, ValueError, RecursionError):
            _refuse()


def _head(stream: io.BytesIO) -> dict[str, Any]:
    line = stream.readline(_MAX_LINE)
    try:
        head = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        head = None
    if not isinstance(head, dict):
        _refuse()
    return head


def _failed(head: dict[str, Any]) -> NoReturn:
    text = printable(str(head.get("text")), 300)
    if head["failed"] == "malformed":
        raise Malformed(text)
    raise Beyond(text)


def _unpack(head: dict[str, Any], body: bytes) -> Leaf:
    kind = head["kind"]
    if kind == "bytes":
        return Blob(data=body)
    if kind == "tree":
        return Tree(value=json.loads(body))
    shape = tuple(int(size) for size in head["shape"])
    if kind == "texts":
        values = tuple(json.loads(body))
        if not all(value is None or isinstance(value, str) for value in values):
            raise ValueError("no text")
        return Texts(values=values, shape=shape)
    array = Array(type=str(head["type"]), shape=shape, data=body, fortran=bool(head["fortran"]))
    if kind != "array" or min(shape, default=0) < 0 or array.size not in (-1, len(body)):
        raise ValueError("no array")
    return array


def _refuse() -> NoReturn:
    raise Beyond("the answer of its reader is not whole or not understood")
