"""R values as leaves by place: ``$fit$coefficients[0]``, ``$data@levels``."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from repro.compare.arrays import Array
from repro.compare.base import Beyond
from repro.compare.contents import MAX_LEAVES, Blob, Content, Leaf, Texts, Tree
from repro.compare.rserial import MAX_DEPTH, Node

SOURCES = ("srcref", "srcfile", "wholeSrcref")
"""Attributes of functions: file, line and time of the source they were parsed from."""

_MAX_STEPS = 2_000_000
_PLAIN = ("character", "raw")
_TYPES = {"logical": ">i4", "integer": ">i4", "double": ">f8", "complex": ">c16"}
_LANGUAGE = (
    "call",
    "symbol",
    "constant",
    "pairlist",
    "builtin",
    "closure",
    "promise",
    "dots",
    "code",
)


def leaves(root: Node) -> Content:
    """Every vector, attribute and expression below ``root``. Raises Beyond."""
    found: dict[str, Leaf] = {}
    for place, leaf in _Walk().leaves(root, "", 0):
        if place in found or len(found) >= MAX_LEAVES:
            raise Beyond(f"more than {MAX_LEAVES} values, or two at one place")
        found[place] = leaf
    return found


class _Walk:
    """Environments are numbered as they are met, so that a ring of them ends."""

    def __init__(self) -> None:
        self._met: dict[int, int] = {}
        self._waiting: list[Node] = []
        self._left = _MAX_STEPS

    def _step(self, depth: int) -> None:
        # References make a few bytes stand for a tree of any size.
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            raise Beyond(f"nested more than {MAX_DEPTH} deep or more than {_MAX_STEPS} values")

    def leaves(self, node: Node, place: str, depth: int) -> Iterator[tuple[str, Leaf]]:
        """The leaves of one value and of all it holds."""
        self._step(depth)
        if node.kind == "promise" and node.items[0][1].text != "<unbound>":
            # An argument that was evaluated is its value, whatever it was written as.
            node = node.items[0][1]
        if node.kind == "environment":
            yield from self._environment(node, place, depth)
            return
        if node.kind in _PLAIN or node.kind in _TYPES:
            yield place or "value", self._vector(node)
        elif node.kind in _LANGUAGE:
            yield place or "value", Tree(value=self._language(node, depth))
            yield from self._reached(place, depth)
        else:
            yield f"{place} <{node.kind}>", Tree(value=[node.kind, node.text, len(node.items)])
            for name, item in _named(node):
                yield from self.leaves(item, f"{place}{name}", depth + 1)
        for name, item in node.attributes.items():
            if name != "dim" or node.kind not in _TYPES:
                yield from self.leaves(item, f"{place}@{name}", depth + 1)

    def _reached(self, place: str, depth: int) -> Iterator[tuple[str, Leaf]]:
        """Environments named in an expression: what a function reaches is part of it."""
        while self._waiting:
            inner = self._waiting.pop(0)
            yield from self._content(inner, f"{place}<environment {self._met[id(inner)]}>", depth)

    def _vector(self, node: Node) -> Leaf:
        if node.kind == "character":
            return Texts(values=tuple(node.texts))
        return Blob(data=node.data) if node.kind == "raw" else self._array(node)

    def _array(self, node: Node) -> Array:
        type_ = _TYPES[node.kind]
        shape: tuple[int, ...] = (len(node.data) // int(type_[2:]),)
        dim = node.attributes.get("dim")
        if dim is not None and dim.kind == "integer":
            sizes = struct.unpack(f">{len(dim.data) // 4}i", dim.data)
            array = Array(type=type_, shape=sizes, data=node.data, fortran=True)
            if array.size == len(node.data):
                shape = sizes
        return Array(
            type=type_, shape=shape, data=node.data, fortran=len(shape) > 1,
            missing=node.kind == "double",
        )  # fmt: skip

    def _environment(self, node: Node, place: str, depth: int) -> Iterator[tuple[str, Leaf]]:
        known = id(node) in self._met
        number = self._met.setdefault(id(node), len(self._met) + 1)
        yield f"{place} <environment>", Tree(value=f"environment {number}")
        if not known:
            yield from self._content(node, place, depth)

    def _content(self, node: Node, place: str, depth: int) -> Iterator[tuple[str, Leaf]]:
        self._step(depth)
        for number, (name, item) in enumerate(node.items):
            inner = f"{place}<parent>" if number == 0 else f"{place}${name}"
            yield from self.leaves(item, inner, depth + 1)
        for name, item in node.attributes.items():
            yield from self.leaves(item, f"{place}@{name}", depth + 1)

    def _language(self, node: Node, depth: int) -> object:
        """An expression as nested lists; numbers and texts in it stay what they are."""
        self._step(depth)
        found = self._expression(node, depth)
        attributes = {
            name: self._language(item, depth + 1)
            for name, item in node.attributes.items()
            if name not in SOURCES and node.kind != "environment"
        }
        return [found, attributes] if attributes and depth else found

    def _expression(self, node: Node, depth: int) -> object:
        if node.kind == "double":
            return list(struct.unpack(f">{len(node.data) // 8}d", node.data))
        if node.kind in ("integer", "logical"):
            return list(struct.unpack(f">{len(node.data) // 4}i", node.data))
        if node.kind == "character":
            return [node.kind, *node.texts]
        if node.kind == "code":
            # Compiled or not yet compiled is the same function.
            return self._language(node.items[0][1], depth + 1)
        if node.kind in ("complex", "raw"):
            return [node.kind, node.data.hex()]
        if node.kind == "environment":
            if id(node) not in self._met:
                self._met[id(node)] = len(self._met) + 1
                self._waiting.append(node)
            return f"environment {self._met[id(node)]}"
        items = node.items
        if node.kind == "call" and items[0][1].text == "function":
            # `function(x) y` holds the reference to its source as a fourth part.
            items = items[:3]
        inner = [[name, self._language(item, depth + 1)] for name, item in items]
        return [node.kind, node.text, *inner] if inner else f"{node.kind} {node.text}"


def _named(node: Node) -> Iterator[tuple[str, Node]]:
    names = node.attributes.get("names")
    texts = names.texts if names is not None and names.kind == "character" else []
    seen: set[str] = set()
    for number, (tag, item) in enumerate(node.items):
        name = texts[number] if number < len(texts) else tag
        if name and name not in seen:
            seen.add(name)
            yield f"${name}", item
        else:
            yield f"[[{number + 1}]]", item
