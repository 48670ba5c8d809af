from __future__ import annotations

import pytest

from repro.model.step import Cost, StepSeen
from repro.workflows.rerun import REACHED, Rerun, how_it_ended
from repro.workflows.verify import rerun_failed


@pytest.mark.parametrize("limit", sorted(REACHED))
def test_the_limit_that_was_reached_is_the_one_to_raise(limit: str) -> None:
    step = StepSeen(name="fit", exit=137, cost=Cost(wall=1.0), reached=limit)
    error = rerun_failed(Rerun(steps=(step,), produced={}, notes=(), folder="/f"))
    assert (error.slug, error.hint) == (f"limit-{limit}", f"give it more: --{limit}")


def test_no_limit_no_hint() -> None:
    step = StepSeen(name="fit", exit=2, cost=Cost(wall=1.0))
    error = rerun_failed(Rerun(steps=(step,), produced={}, notes=(), folder="/f"))
    assert (error.slug, error.hint) == ("rerun-failed", None)


@pytest.mark.parametrize(
    ("limit", "shown"), [(0.01, "0.01s"), (0.0004, "0.0004s"), (1, "1.0s"), (90, "1m30s")]
)
def test_a_time_limit_is_named_as_it_was_given(limit: float, shown: str) -> None:
    step = StepSeen(
        name="fit", exit=137, cost=Cost(wall=limit + 0.002), timed_out=True, time_limit=limit
    )
    assert how_it_ended(step) == f"ran longer than its time limit ({shown})"
