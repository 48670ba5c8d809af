"""Two large files side by side: parts that their sealed readers give are compared as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from repro.compare.base import Damaged, Malformed
from repro.compare.child import parts
from repro.compare.contents import Content, compare_contents
from repro.compare.findings import Findings
from repro.compare.wire import Part
from repro.model.ports import OutputFile

MAX_DIFFERENCES = 1_000_000
Prepare = Callable[[Content, Content, Findings], tuple[Content, Content]]
"""Takes out of a part's two sides what carries no result."""


def compare_parts(
    name: str, sides: tuple[OutputFile, OutputFile], findings: Findings, prepare: Prepare
) -> int:
    """Compare what ``readers/NAME.py`` gives of each side, holding one part of each; how many.

    A part that only one side has is a difference. After a million differences the rest is not
    looked at, which is noted. Raises Damaged when a side is malformed, and Beyond.
    """
    walk = _Walk(findings, prepare)
    with parts(name, sides[0]) as old, parts(name, sides[1]) as new:
        left, right = _Side("recorded", old), _Side("rerun's", new)
        while left.part is not None or right.part is not None:
            walk.step(left, right)
            if findings.count > MAX_DIFFERENCES:
                findings.note("what comes after a million differences was not looked at")
                break
    return walk.count


class _Side:
    """One side's parts; ``part`` is the present one, None after the last."""

    def __init__(self, name: str, parts: Iterator[tuple[Part, Content]]) -> None:
        self.name = name
        self._parts = parts
        self.part: Part | None = None
        self.content: Content = {}
        self.next()

    def next(self) -> None:
        """Go on to the next part. Raises Damaged."""
        try:
            self.part, self.content = next(self._parts, (None, {}))
        except Malformed as error:
            raise Damaged(f"the {self.name} file is malformed: {error}") from None


class _Walk:
    def __init__(self, findings: Findings, prepare: Prepare) -> None:
        self.count = 0
        self._findings = findings
        self._prepare = prepare
        self._apart: tuple[str, ...] | None = None

    def step(self, left: _Side, right: _Side) -> None:
        """Compare the next part of both sides, or tell that one side has none of this name."""
        one, two = left.part, right.part
        if one is not None and two is not None and one.key == two.key:
            self._both(one, left.content, right.content)
            left.next()
            right.next()
        elif two is None or (one is not None and one.key < two.key):
            self._alone(left, "the recorded")
        else:
            self._alone(right, "the rerun's")

    def _both(self, part: Part, old: Content, new: Content) -> None:
        if part.start and part.names == self._apart:
            return
        self.count += 1
        before = self._findings.count
        compare_contents(*self._prepare(old, new, self._findings), self._findings)
        if not part.start and self._findings.count > before:
            # Of another shape or type: its values cannot be set beside each other.
            form = f"{part.place}, form"
            if old.get(form) != new.get(form):
                self._apart = part.names

    def _alone(self, side: _Side, whose: str) -> None:
        assert side.part is not None
        if side.part.names != self._apart:
            place = side.part.place or "the file's root"
            self._findings.differ(place, f"only in {whose} file")
            self._apart = side.part.names
        side.next()
