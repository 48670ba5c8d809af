from __future__ import annotations

import pytest

from repro.project.globs import matches, matches_any


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("figs/a.png", "figs/*.png", True),
        ("figs/sub/a.png", "figs/*.png", False),
        ("figs/sub/a.png", "figs/**/*.png", True),
        ("figs/a.png", "figs/**/*.png", True),
        ("data/x/y", "data/**", True),
        ("data", "data/**", False),
        ("data/x/y", "data", True),
        ("data2/x", "data", False),
        ("a.csv", "?.csv", True),
        ("a+b(1).csv", "a+b(1).csv", True),
        ("new\nline.txt", "*.txt", True),
        ("results/t.csv", "./results/", True),
    ],
)
def test_matches(path: str, pattern: str, expected: bool) -> None:
    assert matches(path, pattern) is expected


def test_any() -> None:
    assert matches_any("a/b", ["x", "a"])
    assert not matches_any("a/b", [])
