"""Patterns of an archive are matched in linear time, and as the expressions match them."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from repro.project.globs import _compiled, _Machine, matches

PIECE = st.sampled_from(["a", "b", "/", "*", "**", "**/", "?", ".", "ab", "*/"])
PATTERN = st.lists(PIECE, min_size=1, max_size=9).map("".join)
PATH = st.lists(st.sampled_from(["a", "b", "/", ".", "ab"]), min_size=1, max_size=9).map("".join)


@settings(max_examples=600, deadline=None)
@given(pattern=PATTERN, path=PATH)
def test_both_ways_agree(pattern: str, path: str) -> None:
    expected = _compiled(pattern).fullmatch(path) is not None
    assert _Machine(pattern).accepts(path) == expected


def test_no_pattern_takes_long() -> None:
    started = time.process_time()
    assert not matches("a" * 4000, "*a" * 40 + "*b")
    assert not matches("a/" * 1000 + "a", "**/a/" * 40 + "b")
    assert matches("a/" * 1000 + "b", "**/a/" * 40 + "**/b")
    assert time.process_time() - started < 5
