"""Which steps the chosen outputs need, from a recording that may be wrong."""

from __future__ import annotations

from typing import Any

import pytest

from repro.errors import UsageError
from repro.model.recording import Claims, Output, Recording
from repro.model.step import Step
from repro.primitives.digest import Digest
from repro.workflows.selection import select, step_writers

STEPS = (
    Step(name="fit", argv=("fit",)),
    Step(name="plot", argv=("sh", "-c", "plot"), needs=("fit",)),
    Step(name="other", argv=("other",)),
    Step(name="nb", argv=("python", "run.py", "x.ipynb"), notebook="x.ipynb"),
)
PROCESSES = [
    {"number": 0, "parent": None, "argv": ["fit"]},
    {"number": 1, "parent": None, "argv": ["sh", "-c", "plot"]},
    {"number": 2, "parent": 1, "argv": ["python"]},
    {"number": 3, "parent": 2, "argv": ["convert"]},
    {"number": 4, "parent": None, "argv": ["other"]},
]
FILES = [
    {"path": "/p/a/fit.csv", "role": "w", "writer": 0},
    {"path": "/p/figs/1.png", "role": "w", "writer": 3},
    {"path": "/p/o.txt", "role": "w", "writer": 4},
    {"path": "/elsewhere/o.txt", "role": "w", "writer": 4},
]
PATHS = ("a/fit.csv", "figs/1.png", "o.txt", "x.ipynb")


def recording(steps: tuple[Step, ...] = STEPS, **circumstances: Any) -> Recording:
    claims = Claims(
        name="p", root="/p", steps=steps, environment={},
        outputs=tuple(Output(path=p, size=1, digest=Digest.of(b"")) for p in PATHS),
    )  # fmt: skip
    found = {"processes": PROCESSES, "files": FILES, **circumstances}
    return Recording(claims=claims, claims_digest=Digest.of(b""), circumstances=found)


def names(*only: str, **rest: Any) -> list[str]:
    return [step.name for step in select(recording(**rest), only).claims.steps]


def test_everything_without_patterns() -> None:
    found = select(recording(), ())
    assert found.claims == recording().claims
    assert found.to_json() is None and list(found.limits()) == []


def test_steps_by_who_wrote() -> None:
    assert step_writers(recording()) == {
        "a/fit.csv": "fit", "figs/1.png": "plot", "o.txt": "other", "x.ipynb": "nb",
    }  # fmt: skip
    assert names("figs/**") == ["fit", "plot"]
    assert names("o.txt", "a/fit.csv") == ["fit", "other"]
    assert names("x.ipynb") == ["nb"]


def test_it_says_that_it_is_partial() -> None:
    found = select(recording(), ["figs/**", "o.txt"])
    assert [o.path for o in found.claims.outputs] == ["figs/1.png", "o.txt"]
    assert found.claims.declared
    partial = found.to_json()
    assert partial is not None
    assert partial["text"] == "partial: 2 of 4 outputs"
    assert partial["steps"] == ["fit", "plot", "other"] and partial["steps_recorded"] == 4
    assert any("2 of 4 recorded outputs" in text for text in found.limits())
    assert found.left_out == ("nb",) and any("nb" in text for text in found.limits())


def test_all_outputs_asked_for_is_still_partial() -> None:
    found = select(recording(), ["**"]).to_json()
    assert found is not None and found["text"] == "partial: 4 of 4 outputs"


def test_without_needs_all_steps_run_and_it_is_said() -> None:
    plain = tuple(Step(name=s.name, argv=s.argv, notebook=s.notebook) for s in STEPS)
    found = select(recording(steps=plain), ["o.txt"])
    assert len(found.claims.steps) == 4
    assert found.why is not None and "needs" in found.why
    assert (found.to_json() or {})["steps_why"] == found.why


@pytest.mark.parametrize(
    "circumstances",
    [
        {"processes": []}, {"files": []}, {"processes": None, "files": "x"},
        {"processes": [{"number": 4, "parent": 4, "argv": ["other"]}]},
        {"processes": [{"number": 4, "parent": 5}, {"number": 5, "parent": 4}]},
        {"files": [{"path": "/p/o.txt", "writer": "4"}]},
        {"files": [{"path": "/p/o.txt", "writer": 99}]},
        {"processes": [3, {"number": [], "argv": {}}]},
    ],
)  # fmt: skip
def test_where_the_writer_is_not_known_all_steps_run(circumstances: dict[str, Any]) -> None:
    found = select(recording(**circumstances), ["o.txt"])
    assert len(found.claims.steps) == 4
    assert found.why is not None and "o.txt was not recorded" in found.why


def test_steps_of_the_same_command_are_told_apart() -> None:
    twins = (
        Step(name="one", argv=("make",)),
        Step(name="two", argv=("make",)),
        Step(name="three", argv=("other",), needs=("one",)),
    )
    processes = [{"number": n, "parent": None, "argv": ["make"]} for n in (0, 5)]
    files = [{"path": "/p/o.txt", "role": "w", "writer": 5}]
    found = recording(steps=twins, processes=processes, files=files)
    assert [s.name for s in select(found, ["o.txt"]).claims.steps] == ["two"]


def test_a_pattern_without_outputs_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        select(recording(), ["o.txt", "*.png"])
    assert "'*.png'" in caught.value.message and "figs/1.png" in (caught.value.hint or "")
