from __future__ import annotations

import pytest

from repro.errors import ProjectError
from repro.model.observation import Change, Observation
from repro.model.project import OutputRule, Project
from repro.model.step import Step
from repro.workflows.outputs import choose_outputs, hidden_paths, written_paths


def observation(*changes: tuple[str, Change]) -> Observation:
    return Observation(
        tracer="notify", capture="overlay", steps=(), processes=(), accesses=(),
        connections=(), changes=changes, limits=(), upper="/u",
    )  # fmt: skip


def project(*rules: OutputRule) -> Project:
    return Project(name="p", root="/p", steps=(Step(name="s", argv=("x",)),), outputs=rules)


def test_written() -> None:
    seen = observation(
        ("b.csv", Change.CREATED),
        ("a.csv", Change.CHANGED),
        ("gone.csv", Change.DELETED),
        ("__pycache__/x.pyc", Change.CREATED),
        (".venv/lib/x.py", Change.CREATED),
        ("tmp/x", Change.CREATED),
    )
    assert written_paths(seen, ["tmp"], [".venv"]) == ["a.csv", "b.csv"]


def test_everything_written_counts_when_nothing_is_declared() -> None:
    assert list(choose_outputs(project(), ["a", "b"])) == ["a", "b"]


def test_the_last_rule_wins() -> None:
    loose = OutputRule(pattern="r/*.csv", compare={"rtol": "1e-3"})
    exact = OutputRule(pattern="r/a.csv")
    chosen = choose_outputs(project(loose, exact), ["r/a.csv", "r/b.csv", "other"])
    assert chosen == {"r/a.csv": exact, "r/b.csv": loose}


def test_a_declared_output_that_was_not_written_is_an_error() -> None:
    with pytest.raises(ProjectError) as caught:
        choose_outputs(project(OutputRule(pattern="r/a.csv")), ["b"])
    assert caught.value.slug == "output-missing"
    optional = OutputRule(pattern="r/a.csv", required=False)
    assert list(choose_outputs(project(optional, OutputRule(pattern="b")), ["b"])) == ["b"]


def test_a_run_that_writes_nothing_is_an_error_with_the_mend() -> None:
    with pytest.raises(ProjectError) as caught:
        choose_outputs(project(), [])
    assert caught.value.slug == "no-outputs"
    assert "--fresh" in str(caught.value.hint)


def test_what_is_hidden_before_a_run() -> None:
    rules = project(OutputRule(pattern="results/**"))
    existing = ["results/a", "old.png", "data.csv", "fresh/x"]
    assert hidden_paths(existing, rules, ["old.png"], ["fresh"]) == (
        "fresh/x", "old.png", "results/a",
    )  # fmt: skip
    assert hidden_paths(existing, project(), [], []) == ()
