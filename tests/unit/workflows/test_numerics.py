"""What an archive says of numeric libraries is a stranger's word."""

from __future__ import annotations

import os
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


@pytest.mark.parametrize(
    ("said", "loads"),
    [
        (b"  7:\tcalling init: /x/lib.so\n  7:\t\n", True),
        (
            b"ERROR: ld.so: object '/x/lib.so' from LD_PRELOAD cannot be preloaded: ignored.\n",
            False,
        ),
        (b"  7:\tcalling init: /x/lib.so.2\n", False),
        (b"", False),  # a static program, or another libc
    ],
)
def test_whether_a_library_is_loaded_is_what_the_loader_says(
    tmp_path: Path, said: bytes, loads: bool
) -> None:
    class Loader(Talking):
        def run(self, request: SandboxRequest) -> SandboxResult:
            super().run(request)
            os.ftruncate(request.stdout, 0)
            os.pwrite(request.stdout, said, 0)
            return SandboxResult(exit=0, cost=Cost(wall=0.0))

    sandbox = Loader()
    asked = Numerics(sandbox, ["/image"], CLAIMS, tmp_path / "runs")
    assert asked.loads("/x/lib.so", "/extra", {"LD_PRELOAD": "/x/lib.so"}) is loads
    (request,) = sandbox.requests
    assert list(request.layers) == ["/extra", "/image"]
    assert request.environment == {"LD_PRELOAD": "/x/lib.so", "LD_DEBUG": "files"}
