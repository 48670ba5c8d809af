"""Every engine that works here holds the limits that its seal promises, for root and for others.

Root's runs are held by control groups where it may make some, another user's by looks.
"""

from __future__ import annotations

import pytest

from repro.model.limits import Limits
from tests.contracts.runtime_box import NAP, Box, living

HOG = "x=a; while :; do x=$x$x; done"
SHARED = "dd if=/dev/zero of=/dev/shm/x bs=1M count=900 2>/dev/null || exit 9; sleep 20"
FORKS = f"i=0; while [ $i -lt 60 ]; do sleep {NAP} & i=$((i+1)); done; wait"
FILL = "dd if=/dev/zero of=/tmp/x bs=1M count=3000 2>/dev/null; sleep 20"
NAMELESS = (
    "exec 3> /tmp/x; rm /tmp/x; dd if=/dev/zero bs=1M count=60 2>/dev/null >&3; "
    "dd if=/dev/zero bs=1M count=60 2>/dev/null; sleep 20"
)
"""A removed file that is still open, and the log: neither lies in the writable layer."""
CASES = [
    (Limits(memory=200 << 20), HOG, "memory"),
    (Limits(memory=200 << 20), SHARED, "memory"),
    (Limits(pids=20), FORKS, "pids"),
    (Limits(disk=100 << 20), FILL, "disk"),
    (Limits(disk=100 << 20), NAMELESS, "disk"),
]


@pytest.mark.parametrize(
    ("limits", "script", "name"), CASES, ids=["memory", "shm", "pids", "disk", "nameless"]
)
def test_a_hog_ends_at_its_limit(box: Box, limits: Limits, script: str, name: str) -> None:
    result = box.sh(script, limits=limits, timeout=60)
    assert (result.reached, result.timed_out) == (name, False), box.err.read_text()
    assert result.exit != 0
    assert not living()


def test_within_its_limits_nothing_happens(box: Box) -> None:
    limits = Limits(memory=500 << 20, pids=50, disk=100 << 20, cpus=1)
    result = box.sh("echo x > out; dd if=/dev/zero of=/tmp/y bs=1M count=5 2>&1", limits=limits)
    assert (result.exit, result.reached, result.timed_out) == (0, None, False)
    assert result.cost.peak_memory or not box.engine.measures_all


def test_the_time_limit_still_holds(box: Box) -> None:
    result = box.sh(f"sleep {NAP}", limits=Limits(memory=500 << 20), timeout=0.4)
    assert (result.exit, result.timed_out, result.reached) == (137, True, None)
    assert not living()


def test_a_missing_program_is_named_with_limits_as_well(box: Box) -> None:
    from repro.errors import RerunFailed

    with pytest.raises(RerunFailed):
        box.run("/no/such/program", limits=Limits(pids=20))


def test_what_is_promised_is_said(box: Box) -> None:
    asked = Limits(memory=1 << 30, cpus=1, pids=99, disk=1 << 30)
    seal = box.engine.seal("none", asked)
    for name in ("memory", "pids limit", "disk"):
        assert seal.enforced[name], seal
    bare = box.engine.seal("none")
    assert {"memory", "cpu", "pids limit", "disk"} <= set(bare.not_enforced)
    for name in ("memory", "cpu", "pids limit", "disk"):
        assert (name in seal.enforced) != (name in seal.not_enforced)
