from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from repro.model.recording import Claims, Recording
from repro.model.usage import Usage
from repro.primitives.digest import Digest
from repro.workflows.expectation import Expectation, expectation


def recording(steps: Any) -> Recording:
    claims = Claims(name="p", root="/p", steps=(), environment={}, outputs=())
    return Recording(
        claims=claims, claims_digest=Digest.of(b""), circumstances={"steps": steps}
    )  # fmt: skip


STEPS = [
    {"name": "a", "seconds": "60.5", "peak_memory": 5_000},
    {"name": "b", "seconds": "1.5", "peak_memory": 9_000_000},
    {"name": "c", "seconds": "100", "peak_memory": 10_000_000_000},
]


def test_the_sum_and_the_peak_of_the_named_steps() -> None:
    found = expectation(recording(STEPS), {"a", "b"}, 1_000_000)
    assert found == Expectation(usage=Usage(seconds=62.0, peak_memory=9_000_000), disk=1_000_000)
    assert found.sentence() == (
        "about 1m02s · 9.0 MB memory · 1.0 MB of results (the author's run)"
    )  # fmt: skip


@pytest.mark.parametrize(
    "steps",
    [None, 3, [], [None], [{"name": "a"}], [{"name": "a", "seconds": "nan", "peak_memory": -1}],
     [{"name": "a", "seconds": 3, "peak_memory": True}], [{"name": "a", "seconds": "inf"}]],
)  # fmt: skip
def test_what_is_not_recorded_is_unknown(steps: Any) -> None:
    found = expectation(recording(steps), {"a"}, 0)
    assert (found.seconds, found.memory) == (None, None)
    assert "time unknown · memory unknown" in found.sentence()


def test_shortages_are_told(tmp_path: Path) -> None:
    assert list(Expectation(usage=Usage(peak_memory=1), disk=1).shortages(tmp_path)) == []
    short = list(Expectation(usage=Usage(peak_memory=1 << 52), disk=1 << 60).shortages(tmp_path))
    assert len(short) == 2 and "disk" in short[0] and "memory" in short[1]
