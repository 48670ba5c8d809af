"""Two large JSON documents side by side: only what does not fit into a window is gone through."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import deque
from collections.abc import Iterator
from typing import Any, Union

from repro.compare.base import Beyond, Damaged, Malformed
from repro.compare.findings import Findings
from repro.compare.jsonstream import MAX_DEPTH, Document
from repro.compare.tree import compare_trees

MAX_DIFFERENCES = 1_000_000
_MAX_KEYS = 4_000_000
_MAX_HELD = 64 << 20
_MOST_PATIENCE = 10


class Enough(Exception):
    """So many differences that the rest need not be looked at."""


class Side:
    """A document, and whose it is."""

    def __init__(self, name: str, document: Document) -> None:
        self.name = name
        self.document = document

    @contextlib.contextmanager
    def blamed(self) -> Iterator[Document]:
        """The document; what is malformed in it is its side's damage."""
        try:
            yield self.document
        except Malformed as error:
            raise Damaged(f"the {self.name} file is malformed: {error}") from None

    def fits(self) -> tuple[Any] | None:
        """As ``Document.fits``. Raises Damaged."""
        with self.blamed() as document:
            return document.fits()


class Known:
    """A value that was parsed already, with others."""

    def __init__(self, name: str, value: object) -> None:
        self.name = name
        self.value = value

    def fits(self) -> tuple[Any] | None:
        """The value."""
        return (self.value,)


Source = Union[Side, Known]  # noqa: UP007 - an alias at run time


def compare_documents(old: Side, new: Side, findings: Findings) -> None:
    """Compare two documents by the rules of `compare_trees`, in bounded memory.

    Raises Damaged where one is no JSON, Beyond for what would have to be held whole: a long
    text, or the keys of a large object in another order.
    """
    try:
        _values(old, new, findings, "$", 0)
        for side in (old, new):
            with side.blamed() as document:
                document.end()
    except Enough:
        findings.note("what comes after a million differences was not looked at")


def _values(old: Source, new: Source, findings: Findings, where: str, depth: int) -> None:
    """The next value of both sides."""
    one, two = old.fits(), new.fits()
    if one is not None and two is not None:
        # Tells 1 from 1.0 and NaN from nothing, and is much sooner done.
        if repr(one[0]) != repr(two[0]):
            compare_trees(one[0], two[0], findings, where)
        if findings.count > MAX_DIFFERENCES:
            raise Enough
        return
    sides = [
        side if value is None and isinstance(side, Side) else _again(side.name, value)
        for side, value in ((old, one), (new, two))
    ]
    _large(sides[0], sides[1], findings, where, depth)


def _again(name: str, value: tuple[Any] | None) -> Side:
    """A small value beside a large one, to be gone through like it."""
    return Side(name, Document.of(value[0] if value else None))


def _large(old: Side, new: Side, findings: Findings, where: str, depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise Beyond(f"nested more than {MAX_DEPTH} deep")
    kinds = [side.document.peek() for side in (old, new)]
    if any(pattern.search(where) for pattern in findings.settings.ignore):
        if _passed(old, depth) != _passed(new, depth):
            findings.drop(f"{where}, as declared")
            findings.allow("ignore", ", ".join(p.pattern for p in findings.settings.ignore))
    elif kinds == ["[", "["]:
        _Lists(old, new, findings, where, depth).compare()
    elif kinds == ["{", "{"]:
        _Objects(old, new, findings, where, depth).compare()
    else:
        names = {"[": "a list", "{": "an object"}
        said = [names.get(kind, "a single value") for kind in kinds]
        findings.differ(where, f"{said[0]} became {said[1]}", *said)
        for side in (old, new):
            _passed(side, depth)


def _passed(side: Side, depth: int) -> bytes:
    """Pass the next value, however large; a digest of it, white space aside."""
    running = hashlib.sha256()
    _pass(side, running, depth)
    return running.digest()


def _pass(side: Side, running: Any, depth: int) -> None:
    found = side.fits()
    if found is not None:
        running.update(json.dumps(found[0], sort_keys=True).encode())
        return
    if depth >= MAX_DEPTH:
        raise Beyond(f"nested more than {MAX_DEPTH} deep")
    items = _Items(side, side.document.peek())
    running.update(items.opening.encode())
    while items.more:
        running.update(b",")
        if items.opening == "{":
            running.update(json.dumps(_key(side)).encode() + b":")
        _pass(side, running, depth + 1)
        items.taken()
    running.update(b"/")


def _key(side: Side) -> str:
    with side.blamed() as document:
        found = document.fits() if document.peek() == '"' else None
        if found is None:
            raise Malformed("a key is missing")
        document.take(":")
        return str(found[0])


class _Items:
    """The items of one side's container, many parsed at once where that succeeds."""

    def __init__(self, side: Side, opening: str) -> None:
        self.side = side
        self.opening = opening
        self.count = 0
        self.ready: deque[Any] = deque()
        self._closing = "]" if opening == "[" else "}"
        self._failures = self._wait = 0
        with side.blamed() as document:
            document.take(opening)
            self._open = document.peek() != self._closing
            if not self._open:
                document.take(self._closing)

    @property
    def more(self) -> bool:
        """Whether there is another item."""
        return bool(self.ready) or self._open

    def batch(self) -> tuple[Any, str] | None:
        """What `Document.batch` gives; not asked again at once where it gave nothing."""
        if self.ready or not self._open:
            return None
        if self._wait:
            self._wait -= 1
            return None
        with self.side.blamed() as document:
            found = document.batch(self.opening)
        self._failures = 0 if found else min(self._failures + 1, _MOST_PATIENCE)
        self._wait = (1 << self._failures) - 1
        return found

    def hold(self, found: tuple[Any, str] | None) -> None:
        """Have the items of a batch ready."""
        if found is not None:
            value, text = found
            self.ready.extend(value if self.opening == "[" else value.items())
            self.side.document.at += len(text)

    def skip(self, items: int, text: str) -> None:
        """Go on behind a batch."""
        self.side.document.at += len(text)
        self.count += items

    def taken(self) -> None:
        """An item was passed that was not ready; go on to the next one or to the end."""
        self.count += 1
        with self.side.blamed() as document:
            self._open = document.take(",", self._closing) == ","


class _Lists:
    """Two lists, item by item."""

    opening = "["

    def __init__(self, old: Side, new: Side, findings: Findings, where: str, depth: int) -> None:
        self.findings = findings
        self.where = where
        self.depth = depth
        self.sides = (_Items(old, self.opening), _Items(new, self.opening))

    def compare(self) -> None:
        """All items of both. Raises Enough, Damaged and Beyond."""
        one, two = self.sides
        while one.more and two.more:
            if self._same():
                continue
            self.pair(one, two)
            if self.findings.count > MAX_DIFFERENCES:
                raise Enough
        self.rest(one, two)

    def _same(self) -> bool:
        """Pass many items that are the same text on both sides; whether there were any."""
        one, two = self.sides
        if one.ready or two.ready:
            # Batches begin at the same item, or their texts would never be the same again.
            return False
        found = one.batch()
        if found is None:
            return False
        value, text = found
        if not two.side.document.starts_with(text):
            one.hold(found)
            two.hold(two.batch())
            return False
        self.seen(value)
        one.skip(len(value), text)
        two.skip(len(value), text)
        return True

    def seen(self, items: Any) -> None:
        """Items that both sides have were passed."""

    def pair(self, one: _Items, two: _Items) -> None:
        """Compare the next item of both."""
        place = f"{self.where}[{one.count}]"
        sources = [
            Known(items.side.name, items.ready.popleft()) if items.ready else items.side
            for items in (one, two)
        ]
        _values(sources[0], sources[1], self.findings, place, self.depth + 1)
        for items, source in zip((one, two), sources, strict=True):
            self.behind(items, source)

    def behind(self, items: _Items, source: Source) -> None:
        """An item of one side was read from there."""
        if isinstance(source, Side):
            items.taken()
        else:
            items.count += 1

    def rest(self, one: _Items, two: _Items) -> None:
        """One list, or both, have ended."""
        for items in (one, two):
            while items.more:
                items.hold(items.batch())
                items.count += len(items.ready)
                if not items.ready:
                    _passed(items.side, self.depth + 1)
                    items.taken()
                items.ready.clear()
        if one.count != two.count:
            counts = str(one.count), str(two.count)
            self.findings.differ(self.where, "another number of items", *counts)


class _Objects(_Lists):
    """Two objects whose keys come in one order; where it ends the rest is held, if it can be."""

    opening = "{"

    def __init__(self, old: Side, new: Side, findings: Findings, where: str, depth: int) -> None:
        super().__init__(old, new, findings, where, depth)
        self._known: tuple[set[str], set[str]] = (set(), set())

    def seen(self, items: Any) -> None:
        """Keys that both sides have were passed."""
        for key in items:
            for number in (0, 1):
                self._new_key(number, key)

    def _new_key(self, number: int, key: str) -> None:
        known = self._known[number]
        if key in known:
            name = self.sides[number].side.name
            raise Damaged(f"the {name} file is malformed: a key appears twice in one object")
        known.add(key)
        if len(known) > _MAX_KEYS:
            raise Beyond(f"{self.where} has more than {_MAX_KEYS} keys")

    def pair(self, one: _Items, two: _Items) -> None:
        """Compare the next entry of both, or all that are left where their keys differ."""
        entries = [self._entry(number) for number in (0, 1)]
        if entries[0][0] != entries[1][0]:
            self._unordered(entries)
            return
        place = f"{self.where}.{entries[0][0]}"
        _values(entries[0][1], entries[1][1], self.findings, place, self.depth + 1)
        for items, (_, source) in zip((one, two), entries, strict=True):
            self.behind(items, source)

    def _entry(self, number: int) -> tuple[str, Source]:
        """The next key of a side, and where its value is read from."""
        items = self.sides[number]
        source: Source = items.side
        if items.ready:
            key, value = items.ready.popleft()
            source = Known(items.side.name, value)
        else:
            key = _key(items.side)
        self._new_key(number, key)
        return key, source

    def rest(self, one: _Items, two: _Items) -> None:
        """One object, or both, have ended."""
        self._unordered([])

    def _unordered(self, begun: list[tuple[str, Source]]) -> None:
        """Hold what is left of both sides and compare it whatever the order of its keys."""
        rest: list[dict[str, Any]] = [{}, {}]
        for number, items in enumerate(self.sides):
            first = items.side.document.position
            waiting = begun[number : number + 1]
            while waiting or items.more:
                key, source = waiting.pop() if waiting else self._entry(number)
                found = source.fits()
                if found is None:
                    raise Beyond(f"{self.where} has a large value whose key comes elsewhere")
                rest[number][key] = found[0]
                self.behind(items, source)
                if items.side.document.position - first > _MAX_HELD:
                    raise Beyond(f"{self.where} has many keys in another order")
        if any(rest):
            compare_trees(rest[0], rest[1], self.findings, self.where)
