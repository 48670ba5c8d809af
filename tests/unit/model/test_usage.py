from __future__ import annotations

from typing import Any

import pytest

from repro.model.step import Cost
from repro.model.usage import Usage


def test_steps_are_summed_and_the_peak_is_the_largest() -> None:
    first = Cost(wall=1.5, cpu_user=1.0, cpu_system=0.25, peak_memory=20, read=5, written=0)
    second = Cost(wall=60, cpu_user=2.0, cpu_system=0.25, peak_memory=10, read=7, written=3)
    assert Usage.of([first, second]) == Usage(
        seconds=61.5, cpu=3.5, peak_memory=20, read=12, written=3
    )


def test_a_figure_that_one_step_lacks_is_no_sum() -> None:
    found = Usage.of([Cost(wall=1, cpu_user=1.0, cpu_system=0.0, read=5, written=1), Cost(wall=2)])
    assert found == Usage(seconds=3)


def test_recorded_figures_are_those_of_the_named_steps() -> None:
    steps: list[Any] = [
        {"name": "a", "seconds": "60.5", "cpu_user": "1.000", "cpu_system": "0.500",
         "peak_memory": 7, "read_bytes": 100, "written_bytes": 0},
        {"name": "b", "seconds": "1", "read_bytes": 1},
    ]  # fmt: skip
    assert Usage.recorded(steps, {"a"}) == Usage(
        seconds=60.5, cpu=1.5, peak_memory=7, read=100, written=0
    )
    assert Usage.recorded(steps) == Usage(seconds=61.5, peak_memory=7, read=101)


@pytest.mark.parametrize("value", [True, -1, 1 << 60, "5", 1.5, None, [1], float("nan")])
def test_what_is_no_count_of_bytes_is_not_measured(value: Any) -> None:
    assert Usage.recorded([{"read_bytes": value, "peak_memory": value}]) == Usage()


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e12", 3, None, "x"])
def test_what_is_no_time_is_not_measured(value: Any) -> None:
    step = {"seconds": value, "cpu_user": value, "cpu_system": "0.1"}
    assert Usage.recorded([step]) == Usage()


def test_text_with_the_author_s_figures_in_brackets() -> None:
    here = Usage(seconds=0.3, cpu=1.26, peak_memory=20_000_000, read=5, written=0)
    author = Usage(seconds=0.2, peak_memory=19_000_000, read=5, written=0)
    assert here.text(author) == (
        "time 0.3s (0.2s) · cpu 1.3s · peak memory 20 MB (19 MB) · read 5 B (5 B) · "
        "written 0 B (0 B)"
    )
    assert here.text().count("(") == 0 and Usage().text() == ""
