from __future__ import annotations

import pytest

from repro.primitives.texts import bytes_of, human_size, human_time, printable


def test_printable() -> None:
    assert printable("a\x1b[31m\n‮b\udcff") == "a\\x1b[31m\\x0a\\u202eb\\xff"
    assert len(printable("x" * 10_000, 50)) == 50
    assert printable("é≠") == "é≠"


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (4100, "4.1 kB"), (612_000_000, "612 MB")]
)
def test_sizes(size: int, text: str) -> None:
    assert human_size(size) == text


@pytest.mark.parametrize(("secs", "text"), [(0.32, "0.3s"), (372, "6m12s"), (7380, "2h03m")])
def test_times(secs: float, text: str) -> None:
    assert human_time(secs) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("5000", 5000), ("500MB", 500_000_000), ("1.5GiB", 3 << 29), (" 2 g ", 2 * 10**9),
     ("1kb", 1000), ("", None), ("-1", None), ("lots", None), ("1e9", None), ("5 XB", None),
     ("i", None), ("9" * 16, None), ("999999999TB", None)],
)  # fmt: skip
def test_sizes_as_people_write_them(text: str, size: int | None) -> None:
    assert bytes_of(text) == size
