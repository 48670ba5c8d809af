"""A mismatch is traced to the line that the probe or the self-test pointed at, as a guess."""

from __future__ import annotations

from typing import Any

from repro.compare.causes import place_causes
from repro.model.outcome import Outcome
from repro.model.stability import OutputClass, Probe, Spot, Stability
from repro.model.verdict import Comparison, OutputVerdict, Verdict


def spot(axis: str, line: int) -> Spot:
    return Spot(axis=axis, path="a.py", line=line, text=f"{axis} here", mend="mend it")


def verdict(*notes: str, outcome: Outcome = Outcome.DIFFERENT) -> Verdict:
    comparison = Comparison(outcome=outcome, comparator="text/1", notes=notes)
    return Verdict(outputs=(OutputVerdict(path="a.txt", required=True, comparison=comparison),))


def probed(
    *spots: Spot, stability: Stability = Stability.NONDETERMINISTIC, axes: tuple[str, ...] = ()
) -> dict[str, Any]:
    output = OutputClass(path="a.txt", stability=stability, axes=axes, spots=spots)
    probe = Probe(reruns=2, seconds=1, axes=(), outputs=(output,), proposals=(), limits=())
    return {"probe": probe.to_json()}


def test_the_line_of_a_probe() -> None:
    found = list(place_causes(verdict(), probed(spot("random", 14))))
    assert found == [
        {
            "code": "random",
            "at": "a.py:14",
            "text": "random here (a.txt in the author's probe: nondeterministic)",
        }
    ]


def test_the_kind_of_difference_chooses_among_lines() -> None:
    known = probed(spot("random", 1), spot("threads", 2), spot("hash-seed", 3))
    moved = "both hold the same lines in another order: perhaps files, sets or threads unordered"
    assert [hint["at"] for hint in place_causes(verdict(moved), known)][0] == "a.py:3"
    rounding = "all numbers agree to 1e-12 of their size: perhaps rounding by another processor"
    assert [hint["at"] for hint in place_causes(verdict(rounding), known)][0] == "a.py:2"


def test_without_a_line_the_axis_is_named() -> None:
    known = probed(stability=Stability.VARIES, axes=("threads",))
    found = list(place_causes(verdict(), known))
    assert [(hint["code"], "at" in hint) for hint in found] == [("threads", False)]
    assert "varies with number of threads; the line is not known" in found[0]["text"]


def test_what_was_deterministic_is_not_blamed_on_a_line() -> None:
    found = list(place_causes(verdict(), probed(stability=Stability.DETERMINISTIC)))
    assert [(hint["code"], "at" in hint) for hint in found] == [("not-varied", False)]


def test_the_self_test_alone() -> None:
    places = {"self_test": {"places": {"a.txt": [spot("clock", 5).to_json()]}}}
    found = list(place_causes(verdict(), places))
    assert (found[0]["at"], found[0]["code"]) == ("a.py:5", "clock")
    assert "the author's own self-test" in found[0]["text"]


def test_nothing_known_nothing_said() -> None:
    for circumstances in (
        {}, {"probe": 3}, {"self_test": 3}, {"self_test": {"places": []}},
        {"self_test": {"places": {"a.txt": [3, {"line": "x"}]}}},
        {"self_test": {"places": {"b.txt": [spot("clock", 5).to_json()]}}},
    ):  # fmt: skip
        assert list(place_causes(verdict(), circumstances)) == []
    known = probed(spot("random", 1))
    assert list(place_causes(verdict(outcome=Outcome.IDENTICAL), known)) == []
    assert list(place_causes(verdict(outcome=Outcome.CLOSE), known)) == []
