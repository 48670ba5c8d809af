"""R's serialization as nodes: a reader that takes bytes apart and evaluates nothing.

Format: R Internals, section 1.8, and ``serialize.c`` of R 4: XDR form, versions 2 and 3.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from repro.compare.base import Beyond, Malformed

MAX_DEPTH = 150
_MAX_NODES = 3_000_000
_NA_LENGTH = -1
# Codes beyond R's types (serialize.c) that stand for a value without content.
_CONSTANTS = {
    254: "NULL", 253: "<global environment>", 252: "<unbound>", 251: "<missing argument>",
    250: "<base namespace>", 242: "<empty environment>", 241: "<base environment>",
}  # fmt: skip
_NUMBERS = {10: ("logical", 4), 13: ("integer", 4), 14: ("double", 8), 15: ("complex", 16)}
_PAIRS = {2: "pairlist", 3: "closure", 5: "promise", 6: "call", 17: "dots"}
_REFERENCE, _SYMBOL, _ENVIRONMENT, _CHAR, _STRINGS, _RAW = 255, 1, 4, 9, 16, 24
_LIST, _EXPRESSION, _CODE, _POINTER, _WEAK, _S4, _ALTREP = 19, 20, 21, 22, 23, 25, 238
_NAMED = {249: "namespace", 248: "package", 247: "persistent"}
_BUILTIN = (7, 8)
_REPEATED, _REPEAT = 244, 243
_CODE_LANGUAGE = (6, 2, _REPEATED, _REPEAT, 240, 239)


@dataclass(eq=False)
class Node:
    """One R value. ``items`` are children with their tags; ``data`` bytes of numbers.

    ``kind`` is R's type in words; ``text`` the name of a symbol, constant or function.
    """

    kind: str
    text: str = ""
    data: bytes = b""
    texts: list[str | None] = field(default_factory=list)
    items: list[tuple[str, Node]] = field(default_factory=list)
    attributes: dict[str, Node] = field(default_factory=dict)


NULL = Node("constant", "NULL")


def read_serialized(data: bytes, start: int = 0) -> Node:
    """The value that begins at ``start``. Raises Malformed; Beyond for other forms and bounds."""
    if data[start : start + 2] in (b"A\n", b"B\n"):
        raise Beyond("R data in the ASCII or native form are not read, only XDR")
    if data[start : start + 2] != b"X\n":
        raise Malformed("it is no serialized R value")
    reader = _Reader(data, start + 2)
    try:
        version = reader.whole()
        reader.take(8)
        if version == 3:
            reader.take(reader.count())
        elif version != 2:
            raise Beyond(f"version {version} of R's serialization is not known")
        found = reader.item(0)
    except struct.error:
        raise Malformed("it ends too early") from None
    if reader.position != len(data):
        raise Malformed("there are bytes after its end")
    return found


class _Reader:
    def __init__(self, data: bytes, position: int) -> None:
        self.data = data
        self.position = position
        self._references: list[Node] = []
        self._left = _MAX_NODES

    def whole(self) -> int:
        """One 32-bit integer."""
        found: int = struct.unpack_from(">i", self.data, self.position)[0]
        self.position += 4
        return found

    def count(self) -> int:
        """A length; longer than the file can hold is an early end."""
        size = self.whole()
        if size == _NA_LENGTH:
            size = (self.whole() << 32) + self.whole()
        if not 0 <= size <= len(self.data) - self.position:
            raise Malformed("it ends too early")
        return size

    def take(self, size: int) -> bytes:
        """The next bytes."""
        found = self.data[self.position : self.position + size]
        if len(found) != size:
            raise Malformed("it ends too early")
        self.position += size
        return found

    def item(self, depth: int) -> Node:
        """One value with all it holds (ReadItem)."""
        flags = self.whole()
        kind = flags & 0xFF
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            raise Beyond(f"nested more than {MAX_DEPTH} deep or more than {_MAX_NODES} values")
        if kind in _CONSTANTS:
            return Node("constant", _CONSTANTS[kind]) if kind != 254 else NULL
        if kind == _REFERENCE:
            return self._reference(flags)
        if kind == _SYMBOL:
            return self._remember(Node("symbol", self.item(depth + 1).text))
        if kind in _PAIRS:
            return self._pairs(flags, depth)
        if kind == _CHAR:
            return Node("char", self._char(flags) or "NA")
        found = self._value(kind, depth)
        if kind not in _NAMED and kind != _ALTREP and (flags & 0x200 or kind == _ENVIRONMENT):
            found.attributes = self._attributes(depth + 1)
        return found

    def _remember(self, node: Node) -> Node:
        self._references.append(node)
        return node

    def _reference(self, flags: int) -> Node:
        number = flags >> 8 or self.whole()
        if not 0 < number <= len(self._references):
            raise Malformed("a reference leads nowhere")
        return self._references[number - 1]

    def _value(self, kind: int, depth: int) -> Node:
        if kind in _NUMBERS:
            name, width = _NUMBERS[kind]
            return Node(name, data=self.take(width * self.count()))
        if kind == _STRINGS:
            return Node("character", texts=self._strings())
        if kind in (_LIST, _EXPRESSION):
            node = Node("list" if kind == _LIST else "expression")
            node.items = [("", self.item(depth + 1)) for _ in range(self.count())]
            return node
        if kind == _RAW:
            return Node("raw", data=self.take(self.count()))
        if kind in _BUILTIN:
            return Node("builtin", self.take(self.count()).decode("latin-1"))
        if kind == _S4:
            return Node("S4")
        return self._rare(kind, depth)

    def _rare(self, kind: int, depth: int) -> Node:
        if kind == _ENVIRONMENT:
            return self._environment(depth)
        if kind in _NAMED:
            self.take(4)
            return self._remember(Node(_NAMED[kind], " ".join(map(str, self._strings()))))
        if kind == _ALTREP:
            return self._compact(depth)
        if kind == _CODE:
            return self._code(self.count(), depth)
        if kind == _POINTER:
            node = self._remember(Node("external pointer"))
            node.items = [("", self.item(depth + 1)), ("", self.item(depth + 1))]
            return node
        if kind == _WEAK:
            return self._remember(Node("weak reference"))
        raise Beyond(f"R type {kind} is not known")

    def _strings(self) -> list[str | None]:
        found = []
        for _ in range(self.count()):
            flags = self.whole()
            if flags & 0xFF != _CHAR:
                raise Malformed("a text vector holds something else")
            found.append(self._char(flags))
        return found

    def _char(self, flags: int) -> str | None:
        size = self.whole()
        if size == _NA_LENGTH:
            return None
        # Latin-1 is marked (gp bit 2); all else is UTF-8 or bytes of an unknown encoding.
        latin = flags >> 12 & 4
        text = self.take(size) if size >= 0 else self.take(len(self.data))
        return text.decode("latin-1") if latin else text.decode("utf-8", "surrogateescape")

    def _attributes(self, depth: int) -> dict[str, Node]:
        found = self.item(depth)
        return dict(found.items)

    def _pairs(self, flags: int, depth: int) -> Node:
        """A chain of pairs, read in a loop as R's lists of arguments are long."""
        node = Node(_PAIRS[flags & 0xFF])
        current = flags
        while True:
            attributes = self._attributes(depth + 1) if current & 0x200 else {}
            tag = self.item(depth + 1) if current & 0x400 else None
            if attributes and node.items:
                node.items.append(("@", Node("attributes", attributes=attributes)))
            else:
                node.attributes = node.attributes or attributes
            name = tag.text if tag is not None and tag.kind == "symbol" else ""
            node.items.append((name, self.item(depth + 1)))
            if node.kind in ("closure", "promise"):
                # The tag is the environment, the second half formals' body or expression.
                node.items.append(("", self.item(depth + 1)))
                node.items.append(("", tag or NULL))
                return node
            current = self.whole()
            self._left -= 1
            if current & 0xFF != 2 or self._left < 0:
                self.position -= 4
                rest = self.item(depth + 1)
                if rest is not NULL:
                    node.items.append((".", rest))
                return node

    def _environment(self, depth: int) -> Node:
        node = self._remember(Node("environment"))
        self.take(4)
        parent, frame, table = (self.item(depth + 1) for _ in range(3))
        bindings = list(frame.items)
        for _, bucket in table.items:
            bindings += bucket.items
        node.items = [("", parent), *sorted(bindings, key=lambda binding: binding[0])]
        return node

    def _compact(self, depth: int) -> Node:
        """A vector stored as a recipe (altclasses.c), written out."""
        info, state = self.item(depth + 1), self.item(depth + 1)
        attributes = self._attributes(depth + 1)
        name = info.items[0][1].text if info.items else ""
        node = _expanded(name, state)
        if attributes:
            node.attributes = attributes
        return node

    def _code(self, repeats: int, depth: int) -> Node:
        """Byte code: only the expression it was compiled from counts, its first constant."""
        shared: dict[int, Node] = {}
        found = self._code_body(shared, repeats, depth)
        return Node("code", items=[("", found)])

    def _code_body(self, shared: dict[int, Node], repeats: int, depth: int) -> Node:
        self.item(depth + 1)
        constants = []
        for _ in range(self.count()):
            kind = self.whole()
            if kind == _CODE:
                constants.append(self._code_body(shared, repeats, depth + 1))
            elif kind in _CODE_LANGUAGE:
                constants.append(self._code_language(kind, shared, depth + 1))
            else:
                constants.append(self.item(depth + 1))
        return constants[0] if constants else NULL

    def _code_language(self, kind: int, shared: dict[int, Node], depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise Beyond(f"nested more than {MAX_DEPTH} deep")
        if kind == _REPEAT:
            return shared.get(self.whole(), NULL)
        if kind not in _CODE_LANGUAGE:
            return self.item(depth)
        position = None
        if kind == _REPEATED:
            position, kind = self.whole(), self.whole()
        node = Node("call" if kind in (6, 240) else "pairlist")
        if position is not None:
            shared[position] = node
        if kind in (240, 239):
            node.attributes = self._attributes(depth + 1)
        tag = self.item(depth + 1)
        first = self._code_language(self.whole(), shared, depth + 1)
        rest = self._code_language(self.whole(), shared, depth + 1)
        node.items = [(tag.text if tag.kind == "symbol" else "", first)]
        node.items += rest.items if rest.kind in ("pairlist", "call") else []
        return node


def _expanded(name: str, state: Node) -> Node:
    if name.startswith("wrap_") and state.items:
        return state.items[0][1]
    if name in ("compact_intseq", "compact_realseq") and len(state.data) == 24:
        size, first, step = struct.unpack(">3d", state.data)
        if not (0 <= size <= 16_000_000 and abs(first) < 1e15 and step in (1.0, -1.0)):
            raise Beyond("a sequence of more than 16 million numbers")
        if name == "compact_realseq":
            values = [first + step * number for number in range(int(size))]
            return Node("double", data=struct.pack(f">{int(size)}d", *values))
        whole = range(int(first), int(first + step * size), int(step))
        return Node("integer", data=struct.pack(f">{int(size)}i", *whole))
    if name == "deferred_string" and state.items:
        return Node("character", texts=_as_texts(state.items[0][1]))
    raise Beyond(f"R's compact form {name[:40]!r} is not known")


def _as_texts(numbers: Node) -> list[str | None]:
    """What as.character() gives (15 digits)."""
    form: dict[str, tuple[str, Callable[[float], str]]] = {
        "integer": ("i", lambda value: "" if value == -(1 << 31) else str(value)),
        "double": ("d", lambda value: format(value, ".15g")),
    }
    if numbers.kind not in form:
        raise Beyond("a text vector that is not written out")
    code, show = form[numbers.kind]
    size = len(numbers.data) // struct.calcsize(f">{code}")
    return [show(value) or None for value in struct.unpack(f">{size}{code}", numbers.data)]
