"""What an archive says of numeric libraries is a stranger's word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from repro.model.guise import GUISES
from repro.model.limits import NO_LIMITS, Limits
from repro.model.ports import SandboxRequest, SandboxResult, Seal
from repro.model.recording import Claims
from repro.model.step import Cost
from repro.workflows.numerics import Blas, Numerics

CLAIMS = Claims(name="p", root="/p", steps=(), environment={}, outputs=())


class Talking:
    """A library that says its kernel."""

    name = "talking"
    guises = GUISES

    def __init__(self) -> None:
        self.requests: list[SandboxRequest] = []

    def seal(self, network: str = "none", limits: Limits = NO_LIMITS) -> Seal:
        return Seal(engine="talking", version="0", enforced={})

    def run(self, request: SandboxRequest) -> SandboxResult:
        self.requests.append(request)
        with open(request.stdout, "wb", closefd=False) as stream:
            stream.write(b"Core: Haswell\n")
        return SandboxResult(exit=0, cost=Cost(wall=0.0))


def recorded(path: object) -> tuple[Blas, ...]:
    return Blas.recorded({"numerics": {"blas": [{"path": path, "version": None, "kernel": None}]}})


@pytest.mark.parametrize(
    "path", ["", "/", "lib.so", "/a b.so", "/a:b.so", "/a\0b.so", "/a\ud800.so", 7, None, ["/a"]]
)
def test_what_can_be_no_library_is_left_out(path: Any) -> None:
    assert recorded(path) == ()


def test_a_library_that_is_a_folder_has_no_version(tmp_path: Path) -> None:
    (tmp_path / "usr").mkdir()
    (tmp_path / "lib.so").write_bytes(b"x OpenBLAS 0.3.21 x")
    asked = Numerics(Talking(), [str(tmp_path)], CLAIMS, tmp_path / "runs")
    assert asked.blas(*(each.path for each in recorded("/usr"))).version is None
    assert asked.blas("/lib.so") == Blas(path="/lib.so", version="0.3.21", kernel="Haswell")


def test_it_is_asked_under_the_limits_of_the_rerun(tmp_path: Path) -> None:
    sandbox, limits = Talking(), Limits(memory=1 << 30, disk=1 << 20)
    Numerics(sandbox, [str(tmp_path)], CLAIMS, tmp_path / "runs", limits).kernel("/lib.so")
    assert [request.limits for request in sandbox.requests] == [limits]
