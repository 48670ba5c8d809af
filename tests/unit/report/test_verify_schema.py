"""The published schema of ``repro.verify/1`` holds for our documents and refuses others."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
import report_sample
from jsonschema import Draft202012Validator

from repro.report.jsondoc import verify_schema

Document = dict[str, Any]
SCHEMA = json.loads(verify_schema())
VALIDATOR = Draft202012Validator(SCHEMA)


def sample() -> Document:
    return copy.deepcopy(json.loads(json.dumps(report_sample.document(), allow_nan=False)))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_our_document_is_valid() -> None:
    assert [error.message for error in VALIDATOR.iter_errors(sample())] == []


@pytest.mark.parametrize("field", sorted(sample()))
def test_every_field_is_needed(field: str) -> None:
    found = sample()
    del found[field]
    assert not VALIDATOR.is_valid(found)


@pytest.mark.parametrize(
    "field", [name for name in sample()["outputs"][0] if name not in ("numbers", "tolerance")]
)
def test_every_field_of_an_output_is_needed(field: str) -> None:
    found = sample()
    del next(o for o in found["outputs"] if field in o)[field]
    assert VALIDATOR.is_valid(found) == (field == "copied_from")


def _set(*path: str | int, to: object) -> Callable[[Document], None]:
    def change(found: Document) -> None:
        place: Any = found
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to

    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("verdict", to="good"),
        _set("verdict", to="identical"),  # and not reproduced
        _set("reproduced", to=True),  # with the verdict "missing"
        _set("required", to="undecided"),
        _set("schema", to="repro.verify/2"),
        _set("outputs", 0, "verdict", to="Identical"),
        _set("outputs", 0, "produced", to=None),
        _set("outputs", 0, "required", to="yes"),
        _set("outputs", 0, "differences", 0, to={"where": "line 1"}),
        _set("outputs", 0, "recorded", "sha256", to="AB" * 32),
        _set("outputs", 3, "numbers", "n", to=-1),
        _set("archive", "digest", to="md5:" + "0" * 32),
        _set("seal", "network", to="none"),
        _set("seal", "enforced", to=["network"]),
        _set("run", "seconds", to="3 s"),
        _set("hints", 0, to={"text": "no code"}),
        _set("not_checked", to=""),
        _set("partial", to={}),
        _set("partial", to={"only": [], "judged": 1, "recorded": 2, "steps": ["a"],
                            "steps_recorded": 1, "text": "partial: 1 of 2 outputs"}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused(change: Callable[[Document], None]) -> None:
    found = sample()
    change(found)
    assert not VALIDATOR.is_valid(found)


def test_a_later_field_is_no_fault() -> None:
    found = sample()
    found["new"] = found["outputs"][0]["new"] = found["archive"]["new"] = 1
    assert VALIDATOR.is_valid(found)


def test_a_partial_document() -> None:
    found = sample()
    found["partial"] = {
        "only": ["figs/**"], "judged": 1, "recorded": 5, "steps": ["plot"], "steps_recorded": 3,
        "text": "partial: 1 of 5 outputs",
    }  # fmt: skip
    assert VALIDATOR.is_valid(found)
