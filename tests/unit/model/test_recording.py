from __future__ import annotations

from typing import Any

import pytest

from repro.errors import ArchiveError
from repro.model.recording import Claims, Output
from repro.model.step import Step
from repro.primitives.canonical import dump, load
from repro.primitives.digest import Digest


def claims() -> Claims:
    return Claims(
        name="n", root="/p", environment={"A": "1"}, declared=True,
        steps=(
            Step(name="s", argv=("sh", "\udcff"), timeout=1.5, needs=("s",), stdin="/in \udcff"),
        ),
        outputs=(Output(path="a\n", size=3, digest=Digest.of(b"abc"), compare={"rtol": "1e-6"}),),
    )  # fmt: skip


def test_round_trip() -> None:
    assert Claims.parse(load(dump(claims().to_json()), "claims")) == claims()


def test_newer_schema_says_so() -> None:
    document = {**claims().to_json(), "schema": "repro.claims/2"}
    with pytest.raises(ArchiveError) as caught:
        Claims.parse(document)
    assert caught.value.slug == "archive-schema"
    assert caught.value.hint == "install a newer repro"


@pytest.mark.parametrize("path", ["in.txt", "../x", "/a/../b", "", "/", "/a//b", 7])
def test_a_stdin_is_an_absolute_path(path: object) -> None:
    document: dict[str, Any] = claims().to_json()
    document["steps"][0]["stdin"] = path
    with pytest.raises(ArchiveError):
        Claims.parse(document)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../b", "", "a//b", "./a", "a/"])
def test_output_paths_stay_inside(path: str) -> None:
    document: dict[str, Any] = claims().to_json()
    document["outputs"][0]["path"] = path
    with pytest.raises(ArchiveError):
        Claims.parse(document)
