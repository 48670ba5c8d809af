from __future__ import annotations

import pytest

from repro.compare.base import Beyond
from repro.compare.findings import Findings
from repro.compare.lines import compare_lines
from repro.compare.settings import read_settings
from repro.model.outcome import Outcome
from repro.model.verdict import Comparison


def compare(old: str, new: str, **options: object) -> Comparison:
    findings = Findings("text/1", read_settings(options))
    compare_lines(old, new, findings)
    return findings.result("")


def test_the_place_is_named() -> None:
    found = compare("a\nb\nc", "a\nB\nc")
    assert [d.where for d in found.differences] == ["line 2"]
    assert (found.differences[0].old, found.differences[0].new) == ("b", "B")


def test_added_and_missing_lines_are_shown() -> None:
    found = compare("a\nb\nc\nd", "a\nc\nd\ne\nf")
    assert found.outcome is Outcome.DIFFERENT
    assert {d.text for d in found.differences} == {"lines missing", "lines added"}


def test_numbers_are_exact_unless_declared() -> None:
    assert compare("x = 1.0001", "x = 1.0002").outcome is Outcome.DIFFERENT
    found = compare("x = 1.0001", "x = 1.0002", rtol="0.01")
    assert found.outcome is Outcome.CLOSE
    assert found.tolerance == {"rtol": "0.01", "atol": "1e-12", "from": "repro.yml"}
    assert compare("x = 1.0", "x = 1.2", rtol="0.01").outcome is Outcome.DIFFERENT


@pytest.mark.parametrize(
    ("old", "new"),
    [("n = 12", "n = 13"), ("x = 1.0 m", "x = 1.0 km"), ("a1.5", "a1.6"), ("1.5 2.5", "1.5"),
     ("v1.2.3", "v1.2.4"), ("x = 1.5", "y = 1.5"), ("007.5", "007.6")],
)  # fmt: skip
def test_a_declared_tolerance_is_for_floats_only(old: str, new: str) -> None:
    assert compare(old, new, rtol="0.5").outcome is Outcome.DIFFERENT


def test_ignored_lines_make_it_close_and_are_named() -> None:
    found = compare("Elapsed 3\nx", "Elapsed 4\nx", ignore=["^Elapsed"])
    assert found.outcome is Outcome.CLOSE
    assert found.tolerance == {"ignore": "^Elapsed", "from": "repro.yml"}
    assert found.removed == ("1 lines that match the declared pattern ^Elapsed",)


def test_ignored_lines_do_not_hide_others() -> None:
    assert compare("Elapsed 3\nx", "Elapsed 4\ny", ignore="^Elapsed").outcome is Outcome.DIFFERENT


def test_ignoring_everything_decides_nothing() -> None:
    found = compare("a 1\nb", "a 2\nc", ignore=[".*"])
    assert found.outcome is Outcome.UNDECIDED


def test_a_long_line_is_never_ignored() -> None:
    assert compare("E" * 3000, "E" * 3000 + "1", ignore="^E").outcome is Outcome.DIFFERENT


def test_slow_patterns_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.compare.lines.PATTERN_SECONDS", -1.0)
    with pytest.raises(Beyond):
        compare("a", "b", ignore="x")


def test_many_differences_are_counted_not_listed() -> None:
    found = compare("\n".join(f"a{i}" for i in range(500)), "\n".join(f"b{i}" for i in range(500)))
    assert len(found.differences) == 60
    assert "440 further differences are not listed" in found.notes


def test_a_large_rearrangement_is_bounded() -> None:
    old = "\n".join(["same"] * 4000 + ["x"])
    new = "\n".join(["other"] * 5000)
    found = compare(old, new)
    assert found.outcome is Outcome.DIFFERENT
    assert found.differences
