from __future__ import annotations

import re

import pytest

from repro.model.oci import TAG
from repro.store.documents import image_name

REFERENCE = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Paper", "paper"),
        ("my analysis (final)", "my-analysis-final"),
        ("a..b__c-_-d", "a-b-c-d"),
        ("_x_", "x"),
        ("äöü", "analysis"),
        ("x" * 300, "x" * 100),
    ],
)
def test_image_names_fit_the_reference_grammar(name: str, expected: str) -> None:
    assert image_name(name) == expected
    assert REFERENCE.fullmatch(image_name(name))
    assert image_name(image_name(name)) == image_name(name)


def test_tags() -> None:
    assert TAG.fullmatch("v1.0-rc_2")
    for bad in ("", ".x", "-x", "a b", "a/b", "x" * 129, "x\n"):
        assert not TAG.fullmatch(bad)
