from __future__ import annotations

import pytest

from repro.model.step import Cost, StepSeen
from repro.workflows.rerun import REACHED, Rerun
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
