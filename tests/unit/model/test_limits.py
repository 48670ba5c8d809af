from __future__ import annotations

import pytest

from repro.errors import ArchiveError, UsageError
from repro.model.limits import NO_LIMITS, Limits, limits


def test_what_people_type() -> None:
    found = limits(memory="2G", cpus="1.5", pids="512", disk="10GiB")
    assert found == Limits(memory=2_000_000_000, cpus=1.5, pids=512, disk=10 << 30)
    assert limits(memory="500 mb").memory == 500_000_000
    assert not NO_LIMITS and found


@pytest.mark.parametrize(
    "given",
    [
        {"memory": "0"}, {"memory": "2"}, {"memory": "lots"}, {"memory": "-1G"}, {"memory": "1e9"},
        {"memory": "9999999T"}, {"cpus": "0"}, {"cpus": "-1"}, {"cpus": "nan"}, {"pids": "0"},
        {"pids": "1.5"}, {"pids": "99999999"}, {"disk": ""}, {"disk": "5X"},
    ],
)  # fmt: skip
def test_what_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        limits(**given)
    assert caught.value.hint


def test_there_and_back() -> None:
    found = Limits(memory=1 << 30, cpus=0.5, pids=7, disk=0)
    assert Limits.parse(found.to_json()) == found
    assert Limits.parse({}) == NO_LIMITS


@pytest.mark.parametrize(
    "value", [3, {"memory": -1}, {"memory": "1G"}, {"cpus": 2}, {"cpus": "x"}, {"pids": 0}]
)
def test_a_strangers_limits(value: object) -> None:
    with pytest.raises(ArchiveError):
        Limits.parse(value)


def test_the_reviewers_stand_before_the_authors() -> None:
    mine, theirs = Limits(memory=5 << 20), Limits(memory=1 << 30, pids=3)
    assert mine.over(theirs) == Limits(memory=5 << 20, pids=3)
