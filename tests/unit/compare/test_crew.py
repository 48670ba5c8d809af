"""Many pairs by several processes: the same verdicts in the same order, whatever one does."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.compare import crew, judge
from repro.compare.crew import judge_all
from repro.model.outcome import Outcome
from repro.model.verdict import Comparison, Difference, Numbers, OutputVerdict
from repro.observe.children import children_of


def verdict(path: str, outcome: Outcome = Outcome.CLOSE) -> OutputVerdict:
    numbers = Numbers(n=3, differ=1, max_abs="0.1", first="$.a")
    comparison = Comparison(
        outcome=outcome,
        comparator="csv/1",
        summary="a table \udcff",
        differences=(Difference(where="row 1", text="number differs", old="1", new=None),),
        removed=("dates",),
        notes=("a note",),
        numbers=numbers,
        tolerance={"rtol": "1e-09", "from": "default"},
    )
    return OutputVerdict(path=path, required=True, comparison=comparison, old_size=3)


def lost(number: int) -> OutputVerdict:
    return verdict(str(number), Outcome.UNDECIDED)


def job(number: int) -> Callable[[], OutputVerdict]:
    return lambda: verdict(str(number))


def killed() -> OutputVerdict:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_verdict_comes_back_whole_and_in_order(count: int) -> None:
    jobs = [job(number) for number in range(40)]
    assert judge_all(jobs, count, lost) == [each() for each in jobs]


def test_more_pairs_than_a_pipe_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "_TOKENS", 4)
    jobs = [job(number) for number in range(30)]
    assert judge_all(jobs, 3, lost) == [each() for each in jobs]


@pytest.mark.parametrize("tokens", [4096, 3])
def test_a_judge_that_dies_costs_its_pair_alone(
    tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "_TOKENS", tokens)
    jobs = [job(number) for number in range(20)]
    jobs[7] = jobs[13] = killed
    found = judge_all(jobs, 2, lost)
    assert [v.path for v in found] == [str(number) for number in range(20)]
    undecided = [number for number, v in enumerate(found) if v.outcome is Outcome.UNDECIDED]
    assert undecided == [7, 13]


def test_what_a_job_raises_is_raised_here() -> None:
    def wrong() -> OutputVerdict:
        raise LookupError("odd")

    before = children_of(os.getpid())
    with pytest.raises(LookupError, match="odd"):
        judge_all([job(0), wrong, job(2)], 2, lost)
    assert children_of(os.getpid()) == before


def test_folders_are_judged_the_same_by_one_or_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for side in ("a", "b"):
        (tmp_path / side).mkdir()
        for number in range(30):
            text = f"x\n{number}.{5 + (side == 'b') * (number % 3 == 0)}\n"
            (tmp_path / side / f"{number}.csv").write_text(text)
    sides = str(tmp_path / "a"), str(tmp_path / "b")
    found = []
    for count in (1, 3):
        monkeypatch.setattr(judge, "workers", lambda pairs, size, count=count: count)
        found.append(judge.judge_folders(*sides))
    assert found[0] == found[1]
    assert found[0].outcome is Outcome.DIFFERENT


def test_few_small_pairs_need_no_other_process() -> None:
    assert crew.workers(1, 1 << 40) == 1
    assert crew.workers(63, 1 << 20) == 1
    assert crew.workers(64, 1 << 20) == min(len(os.sched_getaffinity(0)), 8)
    assert crew.workers(2, 1 << 30) == min(len(os.sched_getaffinity(0)), 2)
