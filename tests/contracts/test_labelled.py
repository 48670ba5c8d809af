"""The labelled set: no planted fault passes, no benign pair fails, the causes are right."""

from __future__ import annotations

import importlib
import itertools
import os
from collections.abc import Iterator

import pytest
from labelled import arrays, documents, edges, score, tables
from labelled.pair import Pair

CAUSES_AIM = 0.9


def check(all_: list[score.Judged]) -> None:
    """What is demanded of every set of judged pairs."""
    assert not score.missed(all_), score.wrong(score.missed(all_))
    assert not score.alarms(all_), score.wrong(score.alarms(all_))
    assert all(one.graded for one in all_), score.wrong(one for one in all_ if not one.graded)
    explained = sum(one.explained for one in all_)
    assert explained >= CAUSES_AIM * len(all_), score.wrong(all_)


def thin() -> Iterator[Pair]:
    """What the standard library, PyYAML and NumPy make, and every third of it."""
    found = [
        *edges.pairs(("csv", "json", "yaml", "npz", "pickle", "zip")),
        *tables.small_pairs(),
        *documents.json_pairs(),
        *documents.lines_pairs(),
        *documents.yaml_pairs(),
        *documents.text_pairs(),
        *arrays.numpy_pairs(),
    ]
    return itertools.islice(found, 0, None, 3)


def test_a_thin_sample_is_judged_rightly() -> None:
    all_ = [score.judged(pair) for pair in thin()]
    assert len(all_) > 80
    check(all_)


def test_the_score_tells_a_wrong_verdict() -> None:
    # A pair with a wrong label must come out as wrong, or the set proves nothing.
    wrong = Pair("text", "x", "a.txt", b"slope 1\n", b"slope 2\n", "benign", "time")
    passed = Pair("json", "x", "a.json", b"[1, 2]", b"[1,2]", "fault", "few")
    all_ = [score.judged(wrong), score.judged(passed)]
    assert [one.pair for one in score.alarms(all_)] == [wrong]
    assert [one.pair for one in score.missed(all_)] == [passed]
    assert not any(one.explained for one in all_)


@pytest.mark.slow
@pytest.mark.parametrize(
    "module", ["tables", "documents", "arrays", "edges", "pictures", "office", "science"]
)
def test_the_whole_set_is_judged_rightly(module: str) -> None:
    try:
        pairs = list(importlib.import_module(f"labelled.{module}").pairs())
    except ImportError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{error}: pip install -r bench/judge.txt, apt install r-base-core")
        pytest.skip(f"{error}: pip install -r bench/judge.txt")
    check([score.judged(pair) for pair in pairs])


@pytest.mark.slow
def test_the_set_is_large_and_much_of_it_lies_at_the_tolerances() -> None:
    pytest.importorskip("scipy")
    pytest.importorskip("astropy")
    assert sum(1 for _ in edges.pairs()) >= 60
