from __future__ import annotations

import pytest

from repro.errors import ArchiveError
from repro.primitives.canonical import CLAMP, dump, load, source_date_epoch


def test_one_byte_form() -> None:
    assert dump({"b": 1, "a": ["é", "\udcff"]}) == b'{"a":["\\u00e9","\\udcff"],"b":1}'
    assert load(dump({"p": "\udcff"}), "x") == {"p": "\udcff"}


@pytest.mark.parametrize("value", [1.5, {"a": [0.0]}, [[float("nan")]]])
def test_no_floats(value: object) -> None:
    with pytest.raises(TypeError):
        dump(value)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":2}',
        b"[" * 100_000,
        b'{"a":' * 70 + b"1" + b"}" * 70,
        b"NaN",
        b"\xff",
        b"{",
        b"",
    ],
)
def test_refused(data: bytes) -> None:
    with pytest.raises(ArchiveError):
        load(data, "doc")


def test_brackets_in_text_are_no_depth() -> None:
    assert load(dump({"a": "[{" * 200}), "doc") == {"a": "[{" * 200}


def test_limit() -> None:
    with pytest.raises(ArchiveError):
        load(b"[1,2]", "doc", limit=3)


def test_clock() -> None:
    assert source_date_epoch({"SOURCE_DATE_EPOCH": "12"}) == 12
    assert source_date_epoch({"SOURCE_DATE_EPOCH": "-1"}) == CLAMP
    assert source_date_epoch({}) == CLAMP
