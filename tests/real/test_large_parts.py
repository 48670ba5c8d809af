"""Large HDF5 and Arrow files part by part: the same verdicts as of small ones at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contracts"))

import comparator_checks as checks
from test_comparator_libraries import CASES, case, labels

from repro.compare import child
from repro.compare.formats import columnar, hdf5
from repro.model.outcome import Outcome

pytestmark = pytest.mark.real
FORMATS = ("hdf5", "parquet", "feather", "arrow")
PARTED = [name for name in CASES if any(name.startswith(kind) for kind in FORMATS)]
TINY = """
import repro.compare.readers.hdf5 as h, repro.compare.readers.columns as c
h._SLAB = {slab}; c._MOST_ROWS = c._FEWEST_ROWS = c._CELLS = {rows}
"""


SIZES = pytest.mark.parametrize(
    "sizes", [(16, 1), (64, 2), (1 << 24, 1 << 15)], ids=["tiny", "small", "usual"]
)


@pytest.fixture(autouse=True, scope="module")
def released() -> Iterator[None]:
    yield
    child.release()


def stream(monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, int]) -> None:
    """Let every file count as large, with parts of so many bytes or rows."""
    for module in (hdf5, columnar):
        monkeypatch.setattr(module, "MAX_BYTES", 0)
    tiny = TINY.format(slab=sizes[0], rows=sizes[1]).replace("\n", "; ").strip("; ")
    monkeypatch.setattr(child, "_BOOT", child._BOOT.replace("; from", f"; {tiny}; from"))


def pairs() -> list[tuple[str, str, str]]:
    return [
        (name, kind, label)
        for kind in ("benign", "close", "faults")
        for name, label in labels(kind)
        if name in PARTED
    ]


@SIZES
@pytest.mark.parametrize(("name", "kind", "label"), pairs())
def test_parts_end_like_the_whole(
    name: str, kind: str, label: str, sizes: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = case(name)
    other = getattr(chosen, kind)[label]
    whole = checks.compare(chosen.path, chosen.base, other)
    stream(monkeypatch, sizes)
    found = checks.compare(chosen.path, chosen.base, other)
    back = checks.compare(chosen.path, other, chosen.base)
    if whole.outcome is Outcome.UNDECIDED and label not in ("damaged",):
        # What comes before the place that cannot be read may differ already.
        assert found.outcome in (Outcome.UNDECIDED, Outcome.DIFFERENT), found
    else:
        assert found.outcome is whole.outcome, (found, whole)
    assert back.outcome is found.outcome
    if whole.numbers is not None and found.outcome is Outcome.CLOSE:
        assert found.numbers is not None
        assert (found.numbers.differ, found.numbers.max_abs) == (
            whole.numbers.differ,
            whole.numbers.max_abs,
        )


@pytest.mark.parametrize("name", PARTED)
def test_a_cut_off_file_never_passes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream(monkeypatch, (64, 2))
    checks.truncation(case(name))
    checks.noise(case(name))


def test_parts_of_every_format_are_tried() -> None:
    if os.environ.get("CI") == "true":
        assert {name.partition(":")[0].split()[0] for name in PARTED} >= {"hdf5", "parquet"}
