"""Another date by the host's libfaketime: which library is taken, and why none is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from repro.workflows.probe_clock import (
    INSIDE,
    LATER,
    MISSING,
    libraries,
    moved,
    other_clock,
)


class Image:
    """Loads the libraries with these bytes."""

    def __init__(self, *fitting: bytes) -> None:
        self.fitting = fitting
        self.asked: list[bytes] = []

    def loads(self, path: str, lowest: str, variables: Mapping[str, str]) -> bool:
        assert variables["LD_PRELOAD"] == path
        self.asked.append(Path(lowest + path).read_bytes())
        return self.asked[-1] in self.fitting


def library(root: Path, triplet: str, content: bytes = b"x") -> Path:
    place = root / f"usr/lib/{triplet}/faketime/libfaketimeMT.so.1"
    place.parent.mkdir(parents=True, mode=0o755)
    place.write_bytes(content)
    place.chmod(0o644)
    place.parent.chmod(0o755)
    return place


def test_the_library_that_the_image_loads_lies_in_a_layer(tmp_path: Path) -> None:
    found = [library(tmp_path / "host", "a", b"other"), library(tmp_path / "host", "b", b"fits")]
    image = Image(b"fits")
    with other_clock(image, tmp_path / "runs", found) as clock:
        assert clock.layer is not None
        assert Path(clock.layer + INSIDE).read_bytes() == b"fits"
        assert [p.name for p in Path(clock.layer).iterdir()] == [".repro-clock"]
    assert image.asked == [b"other", b"fits"]
    assert list((tmp_path / "runs").iterdir()) == []


def test_why_the_clock_is_not_moved(tmp_path: Path) -> None:
    with other_clock(Image(), tmp_path / "runs", []) as clock:
        assert (clock.layer, clock.why) == (None, MISSING)
        assert "apt install libfaketime" in clock.why
    found = [library(tmp_path / "host", "a")]
    with other_clock(Image(), tmp_path / "runs", found) as clock:
        assert clock.layer is None and "do not load this machine's libfaketime" in clock.why
    found[0].unlink()
    with other_clock(Image(b"x"), tmp_path / "runs", found) as clock:
        assert clock.layer is None and "cannot be copied" in clock.why


def test_only_a_library_that_the_owner_alone_writes(tmp_path: Path) -> None:
    place = library(tmp_path, "x86_64-linux-gnu")
    assert libraries(tmp_path, os.geteuid()) == [place]
    assert libraries(tmp_path, os.geteuid() + 1) == []
    place.chmod(0o664)
    assert libraries(tmp_path, os.geteuid()) == []
    place.chmod(0o644)
    place.parent.chmod(0o777)
    assert libraries(tmp_path, os.geteuid()) == []
    assert libraries(tmp_path / "nowhere", os.geteuid()) == []


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [(None, INSIDE), ("", INSIDE), ("/usr/lib/libjemalloc.so.2", f"/usr/lib/libjemalloc.so.2:{INSIDE}")],
)  # fmt: skip
def test_what_the_run_preloads_stays(recorded: str | None, expected: str) -> None:
    variables = moved(recorded)
    assert variables["LD_PRELOAD"] == expected
    assert (variables["FAKETIME"], LATER > 366 * 86_400) == (f"+{LATER}", True)
    assert variables["FAKETIME_DONT_FAKE_MONOTONIC"] == "1"
