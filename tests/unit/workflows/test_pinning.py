"""What is set to do as the recorded machine, and what is said to be impossible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_probing import PythonSandbox, claims

from repro.compare.judge import judge
from repro.compare.memory import MemoryOutput
from repro.model.guise import GUISES
from repro.model.outcome import Outcome
from repro.model.pinned import drifted
from repro.model.verdict import Verdict
from repro.primitives.events import silent
from repro.workflows.numerics import Blas
from repro.workflows.pinning import Setting, pin, setting
from repro.workflows.rerun import Rerun, Terms

HASWELL = ("sse4_2", "avx", "avx2", "fma")
SKYLAKE = (*HASWELL, "avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl")


class Library:
    """Answers with a kernel, as a library would."""

    def __init__(self, usual: str, *has: str) -> None:
        self.usual, self.has = usual, has

    def kernel(self, path: str, wanted: str | None = None) -> str | None:
        assert path == "/lib/libopenblas.so"
        return wanted if wanted in self.has else self.usual


def recorded(
    kernel: str | None, features: tuple[str, ...], processors: object = 2
) -> dict[str, Any]:
    blas = {"path": "/lib/libopenblas.so", "version": "0.3.21", "kernel": kernel}
    return {
        "host": {"features": list(features)},
        "numerics": {"blas": [blas], "processors": processors},
    }


def found(
    circumstances: Mapping[str, Any], here: tuple[str, ...], library: Library, *,
    cpus: int = 2, environment: Mapping[str, str] | None = None,
    guises: frozenset[str] = GUISES,
) -> Setting:  # fmt: skip
    what = replace(claims("a"), environment=dict(environment or {}))
    return setting(circumstances, what, here, range(cpus), guises, library)  # type: ignore[arg-type]


def test_the_same_machine() -> None:
    assert found(recorded("Haswell", HASWELL), HASWELL, Library("Haswell")) == Setting(
        variables={}, cpus=(), could_not=()
    )


def test_a_newer_processor_does_as_the_older_one() -> None:
    same = found(recorded("Haswell", HASWELL), SKYLAKE, Library("SkylakeX", "Haswell"))
    assert same.variables["OPENBLAS_CORETYPE"] == "Haswell"
    assert "X86_V4" in same.variables["NPY_DISABLE_CPU_FEATURES"]
    assert "-AVX512F" in same.variables["GLIBC_TUNABLES"]
    assert same.could_not == ()


def test_an_older_processor_cannot() -> None:
    said = " ".join(found(recorded("SkylakeX", SKYLAKE), HASWELL, Library("Haswell")).could_not)
    assert "cannot run the BLAS kernel SkylakeX (here: Haswell)" in said
    assert "lacks features that the author's had: avx512bw" in said


@pytest.mark.parametrize(
    ("kernel", "library", "environment", "said"),
    [
        ("Katmai", Library("SkylakeX"), {}, "Katmai is not known"),
        ("Haswell", Library("SkylakeX"), {}, "takes SkylakeX instead of the kernel Haswell"),
        ("Haswell", Library("SkylakeX", "Haswell"), {"OPENBLAS_CORETYPE": "x"}, "by the archive"),
    ],
)
def test_what_cannot_be_set_is_said(
    kernel: str, library: Library, environment: dict[str, str], said: str
) -> None:
    done = found(recorded(kernel, SKYLAKE), SKYLAKE, library, environment=environment)
    assert "OPENBLAS_CORETYPE" not in done.variables
    assert said in done.could_not[0]


def test_threads_and_processors() -> None:
    here = Library("Haswell")
    fewer = found(recorded("Haswell", HASWELL, 2), HASWELL, here, cpus=8)
    assert fewer.cpus == (0, 1)
    assert fewer.variables["OMP_NUM_THREADS"] == "2"
    more = found(recorded("Haswell", HASWELL, 8), HASWELL, here, cpus=2)
    assert (more.cpus, more.variables["OMP_NUM_THREADS"]) == ((), "8")
    assert "gave 8 processors, this one 2" in more.could_not[0]
    held = found(
        recorded("Haswell", HASWELL, 8), HASWELL, here, environment={"OMP_NUM_THREADS": "4"}
    )
    assert "OMP_NUM_THREADS" not in held.variables
    engine = found(recorded("Haswell", HASWELL, 2), HASWELL, here, cpus=8, guises=frozenset())
    assert engine.cpus == () and "this engine" in engine.could_not[0]
    for odd in ("8", True, 0, -1, 1 << 40, None):
        assert found(recorded("Haswell", HASWELL, odd), HASWELL, here).cpus == ()


def test_an_older_archive_says_nothing_of_its_libraries() -> None:
    done = found({"host": {"features": []}}, SKYLAKE, Library("SkylakeX"))
    assert done.variables == {} and "made by an older repro" in done.could_not[0]


def judged(outcome: Rerun) -> Verdict:
    old = {"a.txt": MemoryOutput(b"1\n"), "b.txt": MemoryOutput(b"1\n")}
    return judge(old, outcome.produced, rules={}, required=Outcome.CLOSE)


def pinned(tmp_path: Path, sandbox: PythonSandbox, wanted: Setting) -> Any:
    return pin(
        {"a.txt": "close"}, wanted, sandbox=sandbox, layers=["/l"], claims=claims("a", "b"),
        folder=tmp_path, terms=Terms(), judge=judged, observer=silent,
    )  # fmt: skip


KERNEL = Setting(variables={"OPENBLAS_CORETYPE": "Haswell"}, cpus=(0,), could_not=("x",))


def test_a_drift_that_vanishes_is_named_and_only_it(tmp_path: Path) -> None:
    sandbox = PythonSandbox(
        a=lambda request: len(request.environment.get("OPENBLAS_CORETYPE", "")) // 7,
        b=lambda request: 1,
    )
    done = pinned(tmp_path, sandbox, KERNEL)
    assert done.vanished == ("a.txt",)
    assert done.outcomes == {"a.txt": "identical"}
    assert sandbox.requests[0].guise.cpus == (0,)
    assert done.to_json()["before"] == {"a.txt": "close"}
    assert done.settings() == "OPENBLAS_CORETYPE=Haswell, 1 processor"


def test_a_drift_that_stays(tmp_path: Path) -> None:
    done = pinned(tmp_path, PythonSandbox(a=lambda request: 2, b=lambda request: 1), KERNEL)
    assert (done.vanished, done.outcomes, done.failed) == ((), {"a.txt": "different"}, None)


def test_a_pinned_rerun_that_fails_shows_nothing(tmp_path: Path) -> None:
    done = pinned(tmp_path, PythonSandbox(a=lambda request: 1 // 0), KERNEL)
    assert (done.vanished, done.outcomes) == ((), {})
    assert "exited with status 1" in done.failed


def test_nothing_to_set_is_no_rerun(tmp_path: Path) -> None:
    sandbox = PythonSandbox(a=lambda request: 1)
    done = pinned(tmp_path, sandbox, Setting(variables={}, cpus=(), could_not=()))
    assert sandbox.requests == [] and done.vanished == () and done.failed


def test_only_what_was_compared_can_drift() -> None:
    found = judge(
        {"a.txt": MemoryOutput(b"1"), "b.txt": MemoryOutput(b"1"), "c.txt": MemoryOutput(b"1")},
        {"a.txt": MemoryOutput(b"2"), "b.txt": MemoryOutput(b"1")}, rules={},
    )  # fmt: skip
    assert drifted(found) == {"a.txt": "different"}


@pytest.mark.parametrize(
    "numerics",
    [None, [], {"blas": 3}, {"blas": [3, {"path": 3}, {"path": "lib.so"}, {"path": "/a:/b"}]}],
)
def test_what_an_archive_says_of_its_libraries_is_not_trusted(numerics: object) -> None:
    assert Blas.recorded({"numerics": numerics}) == ()
