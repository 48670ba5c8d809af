from __future__ import annotations

from repro.model.outcome import Outcome
from repro.model.verdict import Comparison, OutputVerdict, Verdict


def output(outcome: Outcome, required: bool = True) -> OutputVerdict:
    return OutputVerdict(
        path="p", required=required, comparison=Comparison(outcome=outcome, comparator="raw")
    )


def test_worst_required_output_wins() -> None:
    verdict = Verdict(outputs=(output(Outcome.IDENTICAL), output(Outcome.CLOSE)))
    assert verdict.outcome is Outcome.CLOSE
    assert verdict.reproduced
    verdict = Verdict(outputs=(output(Outcome.IDENTICAL), output(Outcome.MISSING, required=False)))
    assert verdict.outcome is Outcome.IDENTICAL


def test_only_three_outcomes_are_ever_success() -> None:
    for outcome in Outcome:
        good = outcome in (Outcome.IDENTICAL, Outcome.EQUIVALENT, Outcome.CLOSE)
        for bar in Outcome:
            assert outcome.meets(bar) is (good and outcome.rank <= bar.rank)


def test_no_outputs_is_undecided() -> None:
    assert Verdict(outputs=()).outcome is Outcome.UNDECIDED
    assert not Verdict(outputs=()).reproduced
