"""Lines of paths: shared while they say the same, and made into accesses when they are asked for."""

from __future__ import annotations

import os

from repro.observe.lines import Accesses, Line, Lines


def test_lines_that_say_the_same_are_one() -> None:
    lines = Lines()
    for number in range(1000):
        lines.note(f"/data/{number}", read=True, reader=3)
    lines.note("/data/7", written=True, writer=4)
    assert len({id(line) for line in lines.values()}) == 2
    assert lines["/data/7"] == Line(read=True, reader=3, written=True, writer=4)
    assert lines["/data/8"] == Line(read=True, reader=3)


def test_accesses_are_a_sequence_in_the_order_of_their_bytes() -> None:
    lines = Lines()
    paths = ["/b", "/a/x", "/a.txt", "/\U0001f600", "/\udcf1", "/é"]
    for path in paths:
        lines.note(path, read=True)
    found = Accesses(lines)
    assert [access.path for access in found] == sorted(paths, key=os.fsencode)
    assert len(found) == 6 and found[0].path == "/a.txt" and found[-1].path == "/\udcf1"
    assert [access.path for access in found[1:3]] == ["/a/x", "/b"]
    assert found == Accesses(lines) and found == tuple(found) and found != ()


def test_what_was_noted_later_of_known_paths_shows() -> None:
    lines = Lines()
    lines.note("/a", read=True)
    found = Accesses(lines)
    lines.note("/a", listed=True)
    assert found[0].listed and found[0].read
