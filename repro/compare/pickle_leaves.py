"""Parts of a pickle as leaves by place; NumPy's arrays are known by how they are rebuilt."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from repro.compare.base import Beyond
from repro.compare.contents import MAX_LEAVES, Blob, Content, Leaf, Texts, Tree
from repro.compare.numpy_parts import array_of, name_of, scalar_of
from repro.compare.pickled import Part
from repro.compare.plainlists import as_array

_MAX_DEPTH = 150
_MAX_STEPS = 2_000_000
_SETS = ("builtins.set", "builtins.frozenset")

Known = Callable[[Part, str], "list[tuple[str, Leaf]] | None"]
"""Leaves of an object of a library whose form is known (a tensor), or None."""


def pickle_leaves(values: Sequence[object], known: Known = lambda part, place: None) -> Content:
    """Every value of a file's pickles by place. Raises Malformed and Beyond."""
    walk = _Walk(known)
    found: dict[str, Leaf] = {}
    for number, value in enumerate(values):
        start = "" if len(values) == 1 else f"pickle {number}"
        for place, leaf in walk.leaves(value, start, 0):
            if place in found or len(found) >= MAX_LEAVES:
                raise Beyond(f"more than {MAX_LEAVES} values, or two at one place")
            found[place or "value"] = leaf
    return found


class _Walk:
    """Objects, lists and dicts that are met again are named, not repeated."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._seen: dict[int, str] = {}
        self._left = _MAX_STEPS
        self._keys = _Keys()

    def leaves(self, value: object, place: str, depth: int) -> Iterator[tuple[str, Leaf]]:
        """The leaves of one value and all it holds."""
        self._left -= 1
        if depth > _MAX_DEPTH or self._left < 0:
            raise Beyond(f"nested more than {_MAX_DEPTH} deep or more than {_MAX_STEPS} values")
        if isinstance(value, str):
            yield place, Texts(values=(value,))
        elif isinstance(value, bytes):
            yield place, Blob(data=value)
        elif isinstance(value, tuple):
            yield from self._sequence("tuple", value, place, depth)
        elif isinstance(value, Part):
            yield from self._part(value, place, depth)
        else:
            yield place, Tree(value=value)

    def _part(self, part: Part, place: str, depth: int) -> Iterator[tuple[str, Leaf]]:
        if part.kind == "global":
            yield place, Tree(value=f"global {part.name}")
            return
        if id(part) in self._seen:
            yield place, Tree(value=f"the same as {self._seen[id(part)] or 'the whole'}")
            return
        self._seen[id(part)] = place
        if part.kind == "list":
            yield from self._sequence("list", part.items, place, depth)
        elif part.kind in ("set", "frozenset"):
            yield from self._set(part.kind, part.items, place, depth)
        elif part.kind == "dict":
            yield f"{place} <dict>", Tree(value=len(self._keys.last(part.pairs)))
            yield from self._pairs(part.pairs, place, depth)
        else:
            yield from self._object(part, place, depth)

    def _object(self, part: Part, place: str, depth: int) -> Iterator[tuple[str, Leaf]]:
        found = self._known(part, place)
        if found is None:
            found = array_of(part, place) or scalar_of(part, place)
        if found is not None:
            yield from found
            return
        name = name_of(part)
        arguments = part.made[1:] if part.kind == "object" else part.made
        if name in _SETS and len(part.made) == 2 and _only_list(part.made[1]) is not None:
            items = _only_list(part.made[1]) or []
            yield from self._set(name.partition(".")[2], items, place, depth)
            return
        yield f"{place} <{part.kind}>", Tree(value=name)
        if part.kind == "object" and not name:
            yield from self.leaves(part.made[0], f"{place}<callable>", depth + 1)
        for number, argument in enumerate(arguments):
            if argument != ():
                yield from self.leaves(argument, f"{place}<arguments {number}>", depth + 1)
        for number, state in enumerate(part.state):
            again = f"<state {number}>" if number else ""
            yield from self._state(state, f"{place}{again}", depth)
        if part.items:
            yield from self._sequence("items", part.items, f"{place}<items>", depth)
        yield from self._pairs(part.pairs, place, depth)

    def _state(self, state: object, place: str, depth: int) -> Iterator[tuple[str, Leaf]]:
        """An object's attributes read like the attributes they become."""
        if isinstance(state, Part) and state.kind == "dict" and id(state) not in self._seen:
            self._seen[id(state)] = place
            for name, (key, value) in self._keys.last(state.pairs).items():
                where = f"{place}.{key}" if isinstance(key, str) else f"{place}<{name}>"
                yield from self.leaves(value, where, depth + 1)
        else:
            yield from self.leaves(state, f"{place}<state>", depth + 1)

    def _pairs(
        self, pairs: list[tuple[object, object]], place: str, depth: int
    ) -> Iterator[tuple[str, Leaf]]:
        for name, (_, value) in self._keys.last(pairs).items():
            yield from self.leaves(value, f"{place}[{name}]", depth + 1)

    def _sequence(
        self, kind: str, items: Sequence[object], place: str, depth: int
    ) -> Iterator[tuple[str, Leaf]]:
        numbers = as_array(items)
        if numbers is not None:
            yield f"{place} <{kind}>", Tree(value=len(items))
            yield place, numbers
        elif items and all(isinstance(item, str) for item in items):
            yield f"{place} <{kind}>", Tree(value=len(items))
            yield place, Texts(values=tuple(str(item) for item in items))
        else:
            yield f"{place} <{kind}>", Tree(value=len(items))
            for number, item in enumerate(items):
                yield from self.leaves(item, f"{place}[{number}]", depth + 1)

    def _set(
        self, kind: str, items: Sequence[object], place: str, depth: int
    ) -> Iterator[tuple[str, Leaf]]:
        """A set has no order: its elements by what they hold (texts hash anew in each run)."""
        yield f"{place} <{kind}>", Tree(value=len(items))
        yield from self._sequence("elements", sorted(items, key=self._keys.order), place, depth)


class _Keys:
    """Texts for keys and elements, the same for the same content; bounded as tuples can share."""

    def __init__(self) -> None:
        self._left = _MAX_STEPS

    def last(self, pairs: list[tuple[object, object]]) -> dict[str, tuple[object, object]]:
        """Pairs by the text of their key; the last of several wins, as in a dict."""
        found: dict[str, tuple[object, object]] = {}
        for key, value in pairs:
            name = self.text(key)
            if name in found and isinstance(key, (tuple, Part)):
                raise Beyond("two keys of a dict look alike")
            found[name] = (key, value)
        return found

    def order(self, element: object) -> str:
        """Where an element of a set is sorted."""
        # Rounded, so that noise in the last digits does not move it.
        if isinstance(element, float) and math.isfinite(element):
            return f"{element:.9g}"
        return self.text(element)

    def text(self, key: object, depth: int = 0) -> str:
        """The text of a key."""
        self._left -= 1
        if depth > 20 or self._left < 0:
            raise Beyond("keys nested more than 20 deep, or too many of them")
        if isinstance(key, tuple):
            return f"({', '.join(self.text(item, depth + 1) for item in key)})"
        if isinstance(key, Part):
            inner = (*key.made, *key.state, *key.items)
            return f"{key.kind} {key.name} {self.text(inner, depth + 1)}"
        return repr(key)


def _only_list(arguments: object) -> list[object] | None:
    if isinstance(arguments, tuple) and len(arguments) == 1 and isinstance(arguments[0], Part):
        return arguments[0].items if arguments[0].kind == "list" else None
    return None
