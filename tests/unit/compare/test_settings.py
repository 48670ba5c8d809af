from __future__ import annotations

import pytest

from repro.compare.settings import ATOL, RTOL, read_settings, refuse_pattern


def test_nothing_declared_is_the_default() -> None:
    found = read_settings({})
    assert (found.rtol, found.atol, found.source, found.declared) == (RTOL, ATOL, "default", False)


def test_numbers_may_be_text() -> None:
    found = read_settings({"rtol": "1e-6", "atol": 0.5})
    assert (found.rtol, found.atol, found.source) == (1e-6, 0.5, "repro.yml")


def test_naming_one_leaves_the_other() -> None:
    assert read_settings({"rtol": "0.1"}).atol == ATOL


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "much", True, [1], "1e999"])
def test_a_bad_tolerance_never_loosens(value: object) -> None:
    found = read_settings({"rtol": value})
    assert found.rtol == RTOL
    assert not found.declared
    assert "rtol ignored" in found.notes[0]


def test_the_reviewer_wins_and_is_named() -> None:
    found = read_settings({"rtol": "1e-6", "ignore": "^x"}, {"rtol": "0.01", "ignore": ".*"})
    assert (found.rtol, found.source) == (0.01, "reviewer")
    assert [pattern.pattern for pattern in found.ignore] == ["^x"]


def test_an_archive_cannot_pose_as_the_reviewer() -> None:
    found = read_settings({"rtol": "1", "from": "reviewer"})
    assert found.source == "repro.yml"
    assert found.notes == ("unknown option from",)


@pytest.mark.parametrize(
    ("value", "share"), [("0.1%", 0.001), ("0.001", 0.001), (0.5, 0.5), ("200%", None), ("x", None)]
)
def test_shares_of_pixels(value: object, share: float | None) -> None:
    assert read_settings({"max_pixels": value}).max_pixels == (
        pytest.approx(share) if share is not None else None
    )


@pytest.mark.parametrize(
    "text",
    ["(a+)+$", "(a|aa)*", "(x*y*)*", r"((ab)*c)+", "(?:a+){2,}", "a*b*c*d*", "(a", "x" * 300,
     r"(a)\1", "(?P<n>a)(?P=n)", "[z-a]"],
)  # fmt: skip
def test_patterns_that_can_run_away_are_refused(text: str) -> None:
    assert refuse_pattern(text) is not None


@pytest.mark.parametrize(
    "text", ["^Elapsed", r"took \d+\.\d+ s$", "[(|*+]x", r"\(a\)+", "^(INFO|DEBUG) start", "a{3}b"]
)
def test_honest_patterns_are_taken(text: str) -> None:
    assert refuse_pattern(text) is None
