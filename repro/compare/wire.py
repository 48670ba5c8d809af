"""Leaves on a pipe: how a sealed reader hands a file's content to the judge.

Each leaf is one line of JSON and then as many bytes as the line says; the last line says how
many leaves there were, so that an answer that was cut off is never taken for a whole one.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, NoReturn, Protocol, Union

from repro.compare.arrays import Array
from repro.compare.base import Beyond, Malformed
from repro.compare.contents import MAX_LEAVES, Blob, Content, Leaf, Texts, Tree
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable

MAX_ANSWER = 320 << 20
MAX_PART = 256 << 20
_MAX_LINE = 1 << 16
_MAX_PLACE = 4096


@frozen
class Part:
    """The leaves behind it belong together and are compared before the next part is read.

    ``names`` and ``start`` order the parts of a file; ``place`` is what is left out where the
    other side has no such part or it has another form.
    """

    names: tuple[str, ...]
    start: tuple[int, ...] = ()
    place: str = ""

    @property
    def key(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """What the order of parts goes by."""
        return self.names, self.start


class Source(Protocol):
    """Where an answer is read from: a file of bytes, or a pipe with a deadline."""

    def readline(self, limit: int, /) -> bytes: ...  # noqa: D102

    def read(self, size: int, /) -> bytes: ...  # noqa: D102


def write_leaves(
    stream: BinaryIO,
    leaves: Iterable[Union[tuple[str, Leaf], Part]],  # noqa: UP007
) -> None:
    """Write leaves and the last line. Raises Beyond for more than 100,000 leaves (of a part)."""
    count = 0
    for item in leaves:
        if isinstance(item, Part):
            head = {"names": item.names, "start": item.start, "place": item.place, "before": count}
            _line(stream, head)
            count = 0
            continue
        place, leaf = item
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
        if leaf.origin:
            head["origin"] = leaf.origin
        return head, leaf.data
    if isinstance(leaf, Texts):
        head = {"kind": "texts", "shape": leaf.shape, "first": leaf.first}
        return head, json.dumps(leaf.values).encode()
    if isinstance(leaf, Tree):
        return {"kind": "tree"}, json.dumps(leaf.value).encode()
    return {"kind": "bytes"}, leaf.data


def read_leaves(answer: bytes) -> Content:
    """The content of an answer.

    Raises Malformed or Beyond as the reader says, Beyond for an answer that is not whole or
    not of this form: the reader may have been taken over by the file it read.
    """
    stream = io.BytesIO(answer)
    content, ending = _leaves(stream, len(answer))
    if isinstance(ending, Part) or stream.read(1):
        _refuse()
    return content


def read_parts(stream: Source) -> Iterator[tuple[Part, Content]]:
    """The parts of an answer in their order, as they come. Raises as ``read_leaves`` does."""
    content, part = _leaves(stream, MAX_PART)
    if content or part is None:
        _refuse()
    while part is not None:
        content, following = _leaves(stream, MAX_PART)
        if following is not None and following.key <= part.key:
            _refuse()
        yield part, content
        part = following
    if stream.read(1):
        _refuse()


def _leaves(stream: Source, most: int) -> tuple[Content, Part | None]:
    """Leaves up to the next part or, then None, the end; of at most so many bytes."""
    found: dict[str, Leaf] = {}
    left = most
    while True:
        head = _head(stream)
        if "failed" in head:
            _failed(head)
        for name in ("leaves", "before"):
            if name in head:
                if head[name] != len(found):
                    _refuse()
                return found, _part(head) if name == "before" else None
        place, size = head.get("at"), head.get("bytes")
        if not isinstance(place, str) or not isinstance(size, int) or place in found:
            _refuse()
        if size > left:
            raise Beyond(f"a part of it holds more than {most >> 20} MiB of values")
        body = stream.read(size) if size >= 0 else b""
        left -= size
        if len(body) != size:
            _refuse()
        try:
            found[place] = _unpack(head, body)
        except (KeyError, TypeError, ValueError, RecursionError):
            _refuse()


def _part(head: dict[str, Any]) -> Part:
    names, start, place = head.get("names"), head.get("start"), head.get("place")
    if not (
        isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and isinstance(start, list)
        and all(isinstance(number, int) for number in start)
        and isinstance(place, str)
    ):
        _refuse()
    return Part(names=tuple(names), start=tuple(start), place=place)


def _head(stream: Source) -> dict[str, Any]:
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
        return Texts(values=values, shape=shape, first=int(head.get("first", 0)))
    array = Array(
        type=str(head["type"]),
        shape=shape,
        data=body,
        fortran=bool(head["fortran"]),
        origin=tuple(int(number) for number in head.get("origin", ())),
    )
    if (
        kind != "array"
        or min(shape, default=0) < 0
        or array.size not in (-1, len(body))
        or (array.origin and len(array.origin) != len(shape))
    ):
        raise ValueError("no array")
    return array


def _refuse() -> NoReturn:
    raise Beyond("the answer of its reader is not whole or not understood")
