from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Mapping
from typing import ClassVar

import pytest

from repro.primitives.frozen import field, frozen, replace


@frozen
class Point:
    """A point."""

    x: int
    y: int = 2
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return self.x + self.y


@frozen
class Pair:
    """Hashable: no mapping in it."""

    left: str
    right: tuple[str, ...] = ()


@frozen
class Other:
    left: str
    right: tuple[str, ...] = ()


def test_defaults_and_factories() -> None:
    one, two = Point(x=1), Point(x=1)
    assert (one.y, one.total, one.labels) == (2, 3, {})
    assert one.labels is not two.labels
    assert one == two != Point(x=2)
    assert Point(x=1, labels={"a": "b"}).labels == {"a": "b"}


def test_equality_and_hash_are_by_value_and_class() -> None:
    assert Pair(left="a") == Pair(left="a", right=())
    assert len({Pair(left="a"), Pair(left="a"), Pair(left="b")}) == 2
    assert Pair(left="a") != Other(left="a")
    assert (Pair(left="a") == 3) is False
    with pytest.raises(TypeError):
        hash(Point(x=1))


def test_wrong_arguments() -> None:
    with pytest.raises(TypeError, match="lacks x"):
        Point()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="no field z"):
        Point(x=1, z=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Point(1)  # type: ignore[misc]


def test_nothing_can_be_assigned_or_deleted() -> None:
    point = Point(x=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.new = 2  # type: ignore[attr-defined]


def test_what_dataclasses_offer_works() -> None:
    point = Point(x=1)
    assert dataclasses.replace(point, y=5) == Point(x=1, y=5)
    assert dataclasses.asdict(point) == {"x": 1, "y": 2, "labels": {}}
    assert [f.name for f in dataclasses.fields(Point)] == ["x", "y", "labels"]
    assert repr(point) == "Point(x=1, y=2, labels={})"
    assert copy.deepcopy(point) == point == pickle.loads(pickle.dumps(point))  # noqa: S301
    assert [f.default_factory for f in dataclasses.fields(Point)][2] is dict
    assert dataclasses.is_dataclass(Point)


def test_a_copy_with_other_values() -> None:
    assert replace(Point(x=1, labels={"a": "b"}), y=5) == Point(x=1, y=5, labels={"a": "b"})
    with pytest.raises(TypeError, match="no field z"):
        replace(Point(x=1), z=1)


def test_class_variables_are_no_fields_and_strange_defaults_are_refused() -> None:
    @frozen
    class Named:
        kind: ClassVar[str] = "k"
        name: str

    assert [f.name for f in dataclasses.fields(Named)] == ["name"]  # type: ignore[arg-type]
    assert (Named(name="a").kind, repr(Named(name="a"))[-9:]) == ("k", "name='a')")
    with pytest.raises(TypeError, match=r"frozen\.field"):

        @frozen
        class Wrong:
            values: Mapping[str, str] = dataclasses.field(default_factory=dict)
