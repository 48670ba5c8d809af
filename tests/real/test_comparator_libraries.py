"""The comparators that need a library of an extra: the contract's cases, and what is not there."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contracts"))

import comparator_checks as checks
from comparator_pairs import Case

pytestmark = pytest.mark.real
KINDS = {"pairs_hdf5": "hdf5", "pairs_columns": "tables", "pairs_pictures": "images"}
"""Modules of pairs, and the extra whose libraries write them."""


def found(module: str) -> dict[str, Case]:
    """The cases of a module, or one that tells what is missing."""
    try:
        cases: dict[str, Case] = importlib.import_module(module).cases()
    except ImportError as error:
        return {f"{module}: {error}": Case("", b"")}
    return cases


CASES = {name: case for module in KINDS for name, case in found(module).items()}


def case(name: str) -> Case:
    """The case; without its library a failure in CI and a skip at home."""
    if not CASES[name].base:
        if os.environ.get("CI") == "true":
            pytest.fail(name)
        pytest.skip(name)
    return CASES[name]


def labels(kind: str) -> list[tuple[str, str]]:
    return [
        (n, label)
        for n, c in CASES.items()
        for label in getattr(c, kind) or ([""] if not c.base else [])
    ]


@pytest.mark.parametrize(("name", "label"), labels("benign"))
def test_no_benign_pair_is_below_equivalent(name: str, label: str) -> None:
    checks.benign(case(name), label)


@pytest.mark.parametrize(("name", "label"), labels("close"))
def test_what_a_tolerance_covers_is_close(name: str, label: str) -> None:
    checks.close(case(name), label)


@pytest.mark.parametrize(("name", "label"), labels("faults"))
def test_no_planted_fault_passes(name: str, label: str) -> None:
    checks.fault(case(name), label)


@pytest.mark.parametrize("name", CASES)
def test_the_order_of_the_sides_does_not_matter(name: str) -> None:
    checks.symmetry(case(name))


@pytest.mark.parametrize("name", CASES)
def test_a_truncated_file_never_passes(name: str) -> None:
    checks.truncation(case(name))


@pytest.mark.parametrize("name", CASES)
def test_a_changed_byte_never_raises(name: str) -> None:
    checks.noise(case(name))
