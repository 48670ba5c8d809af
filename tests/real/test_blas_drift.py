"""Real drift between OpenBLAS kernels: seen by the probe, and gone when the kernel is pinned.

The machine's own OPENBLAS variables stay as they are. A reviewer's machine whose OpenBLAS
takes another kernel by itself is made of this one by a variable that each run of its engine
gets unless the run says otherwise.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from repro.model.limits import NO_LIMITS, Limits
from repro.model.ports import SandboxRequest, SandboxResult, Seal
from repro.observe.processor import flags, other_kernels
from repro.runtime.base import Runtime
from repro.runtime.choose import choose
from repro.workflows import verify as verifying
from repro.workflows.reporting import Reports, verify_and_report
from repro.workflows.verify_request import VerifyRequest
from tests.workflows.lab import Lab, need_an_engine

pytestmark = pytest.mark.real

SCRIPT = """\
import numpy as np

rng = np.random.default_rng(1)
a = rng.standard_normal((300, 300))
product = a @ a
np.savetxt("product.csv", product[:5, :5], delimiter=",", fmt="%.17g")
with open("exact.json", "w") as f:
    f.write('{"mean": %r}' % (sum(range(100)) / 7))
"""


def unavailable(reason: str) -> None:
    if os.environ.get("CI") and "processor" not in reason:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    need_an_engine()
    if any(name.startswith("OPENBLAS") for name in os.environ):
        pytest.skip("this shell sets OPENBLAS variables: they are the machine's own")
    asked = subprocess.run([sys.executable, "-c", "import numpy"], capture_output=True)
    if asked.returncode != 0:
        unavailable("NumPy is not installed")
    made = Lab(tmp_path_factory.mktemp("blas"), tmp_path_factory.mktemp("cache"))
    made.write("fit.py", SCRIPT)
    yield made


@pytest.fixture(scope="module")
def probe(lab: Lab) -> dict[str, Any]:
    # -S: what is installed editable here (a checkout being worked on) is no part of it.
    packages = f"PYTHONPATH={sysconfig.get_path('purelib')}"
    argv = ("snapshot", "--probe", "--minimal", "--env", packages, "--json", "-o", str(lab.archive))
    argv = (*argv, "--", sys.executable, "-S", "fit.py")
    found: dict[str, Any] = json.loads(lab.repro(*argv).stdout)["probe"]
    axis = next(axis for axis in found["axes"] if axis["axis"] == "blas-kernel")
    if axis["state"] != "varied":
        unavailable(f"this processor or its NumPy has one kernel alone: {axis['why']}")
    return found


def test_the_probe_sees_it(lab: Lab, probe: dict[str, Any]) -> None:
    outputs = {output["path"]: output for output in probe["outputs"]}
    assert outputs["exact.json"]["class"] == "deterministic"
    product = outputs["product.csv"]
    assert (product["class"], "blas-kernel" in product["axes"]) == ("varies", True)
    assert [(place["path"], place["line"]) for place in product["places"]] == [("fit.py", 5)]
    blas = lab.inspect()["numerics"]["blas"][0]
    axis = next(axis for axis in probe["axes"] if axis["axis"] == "blas-kernel")
    assert blas["kernel"] == axis["usual"] != axis["varied"]
    assert blas["version"].startswith("0.3.")


class OtherMachine:
    """An engine on a machine whose OpenBLAS takes ``kernel`` when nothing is said."""

    def __init__(self, engine: Runtime, kernel: str) -> None:
        self._engine = engine
        self._kernel = kernel
        self.name, self.guises = engine.name, engine.guises

    def seal(self, network: str = "none", limits: Limits = NO_LIMITS) -> Seal:
        return self._engine.seal(network, limits)

    def run(self, request: SandboxRequest) -> SandboxResult:
        environment = {"OPENBLAS_CORETYPE": self._kernel, **request.environment}
        return self._engine.run(replace(request, environment=environment))


def verified(lab: Lab, *, pin: bool) -> dict[str, Any]:
    request = VerifyRequest(
        archive=lab.archive, tag=None, environ=lab.env, machine=os.uname().machine, pin_cpu=pin
    )
    return verify_and_report(request, Reports())[0]


def test_pinning_explains_it_and_calls_nothing_identical(
    lab: Lab, probe: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = next(axis for axis in probe["axes"] if axis["axis"] == "blas-kernel")["usual"]
    other = next(axis for axis in probe["axes"] if axis["axis"] == "blas-kernel")["varied"]
    assert other in other_kernels(usual, flags())
    monkeypatch.setattr(verifying, "choose", lambda *a: OtherMachine(choose(*a), other))
    plain = verified(lab, pin=False)
    outcomes = {output["path"]: output["verdict"] for output in plain["outputs"]}
    assert outcomes["exact.json"] == "identical"
    assert outcomes["product.csv"] in ("close", "different")
    assert "pinned" not in plain
    author, reviewer = (plain["environment"][side]["blas"] for side in ("author", "reviewer"))
    assert usual in author[0] and other in reviewer[0]
    assert "other-blas" in {hint["code"] for hint in plain["hints"]}
    pinned = verified(lab, pin=True)
    assert pinned["pinned"]["variables"] == {"OPENBLAS_CORETYPE": usual}
    assert pinned["pinned"]["vanished"] == ["product.csv"]
    assert pinned["pinned"]["before"] == {"product.csv": outcomes["product.csv"]}
    # The verdict is of the ordinary rerun all the same.
    assert {output["path"]: output["verdict"] for output in pinned["outputs"]} == outcomes
    assert "cpu" in {hint["code"] for hint in pinned["hints"]}


def test_on_the_same_machine_nothing_is_pinned(lab: Lab, probe: dict[str, Any]) -> None:
    found = verified(lab, pin=True)
    assert {output["verdict"] for output in found["outputs"]} == {"identical"}
    assert "pinned" not in found
