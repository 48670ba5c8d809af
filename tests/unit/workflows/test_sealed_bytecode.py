"""Bytecode by the image's interpreter: what it sends is measured, never believed."""

from __future__ import annotations

import marshal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from repro.errors import RerunFailed
from repro.image.pieces import Pool
from repro.model.limits import NO_LIMITS, Limits
from repro.model.ports import SandboxRequest, SandboxResult, Seal
from repro.model.step import Cost
from repro.workflows.sealed_bytecode import Job, bytecode_of, compile_sealed, programs_in


class HostSandbox:
    """Runs the words on this machine, with another script when one is given."""

    name = "host"

    def __init__(self, folder: Path, script: str | None = None) -> None:
        self.folder = folder
        self.script = script
        self.requests: list[SandboxRequest] = []

    def seal(self, network: str = "none", limits: Limits = NO_LIMITS) -> Seal:
        return Seal(engine="host", version="0", enforced={})

    def run(self, request: SandboxRequest) -> SandboxResult:
        self.requests.append(request)
        script = self.script or request.argv[-1].replace("/tmp/", f"{self.folder}/")
        done = subprocess.run(
            [sys.executable, *request.argv[1:-1], script], stdin=request.stdin,
            stdout=request.stdout, stderr=request.stderr, env=dict(request.environment),
            check=False,
        )  # fmt: skip
        return SandboxResult(exit=done.returncode, cost=Cost(wall=0.0))


def code_of(path: Path) -> int:
    return len(marshal.dumps(compile(path.read_bytes(), str(path), "exec", dont_inherit=True)))


def compiled(
    tmp_path: Path, jobs: list[Job], script: str | None = None
) -> tuple[dict[Job, bytes], HostSandbox]:
    (tmp_path / "run").mkdir()
    (tmp_path / "made").mkdir()
    box = HostSandbox(tmp_path / "made", script)
    with Pool(tmp_path) as pool:
        found = compile_sealed(
            box, [tmp_path], ["/usr/bin/python3.11"], jobs, tmp_path / "run", pool
        )
        return {job: b"".join(pool.read(piece)) for job, piece in found.items()}, box


def test_what_compiles_to_the_expected_size(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text("def f(x):\n    return x + 1\n")
    bad.write_text("def (\n")
    size = code_of(good)
    jobs = [
        Job(source=str(bad), optimize=0, program=0, size=10),
        Job(source=str(good), optimize=0, program=0, size=size),
        Job(source=str(good), optimize=2, program=0, size=size + 1),
        Job(source=str(tmp_path / "none.py"), optimize=0, program=0, size=3),
    ]
    found, box = compiled(tmp_path, jobs)
    assert list(found) == [jobs[1]]
    assert marshal.loads(found[jobs[1]]).co_filename == str(good)
    (request,) = box.requests
    assert request.network == "none" and request.argv[0] == "/usr/bin/python3.11"
    assert "PYTHONPATH" not in request.environment and request.timeout is not None


@pytest.mark.parametrize(
    "script",
    [
        "import sys; sys.stdout.buffer.write((1 << 62).to_bytes(8, 'big') + bytes(9 << 20))",
        "import sys; sys.stdout.buffer.write((7).to_bytes(8, 'big') + b'abc')",
        "pass",
    ],
)
def test_an_interpreter_that_sends_nonsense(tmp_path: Path, script: str) -> None:
    """More than was asked for ends its pipe; a broken pipe is its own failure."""
    jobs = [Job(source="/a.py", optimize=0, program=0, size=7)]
    try:
        found, _ = compiled(tmp_path, jobs, script)
    except RerunFailed as error:
        assert "bytecode" in error.slug
    else:
        assert found == {}


def test_it_is_held_to_limits_and_says_which_it_reached(tmp_path: Path) -> None:
    class Greedy(HostSandbox):
        def run(self, request: SandboxRequest) -> SandboxResult:
            self.requests.append(request)
            return SandboxResult(exit=137, reached="disk", cost=Cost(wall=0.0))

    box, limits = Greedy(tmp_path), Limits(memory=1 << 30, disk=1 << 20)
    (tmp_path / "run").mkdir()
    job = Job(source="/a.py", optimize=0, program=0, size=1)
    with Pool(tmp_path) as pool, pytest.raises(RerunFailed, match="disk than its limit") as caught:
        compile_sealed(box, [tmp_path], ["/p"], [job], tmp_path / "run", pool, limits)
    assert box.requests[0].limits == limits and "--disk" in str(caught.value.hint)


def test_its_time_is_limited(tmp_path: Path) -> None:
    class Slow(HostSandbox):
        def run(self, request: SandboxRequest) -> SandboxResult:
            self.requests.append(request)
            return SandboxResult(exit=137, timed_out=True, cost=Cost(wall=0.0))

    box = Slow(tmp_path)
    (tmp_path / "run").mkdir()
    job = Job(source="/a.py", optimize=0, program=0, size=1)
    with Pool(tmp_path) as pool, pytest.raises(RerunFailed, match="not done after 2.5 s") as caught:
        compile_sealed(box, [tmp_path], ["/p"], [job], tmp_path / "run", pool, timeout=2.5)
    assert box.requests[0].timeout == 2.5 and "--timeout" in str(caught.value.hint)


def test_a_failing_interpreter_is_named(tmp_path: Path) -> None:
    jobs = [Job(source="/a.py", optimize=0, program=0, size=7)]
    with pytest.raises(RerunFailed, match="python3.11") as caught:
        compiled(tmp_path, jobs, "import sys; sys.exit('no module \\x1b[31m')")
    assert "\x1b" not in str(caught.value.details)


def entry(path: str, size: int = 100, **more: Any) -> Mapping[str, Any]:
    return {"path": path, "size": size, "sha256": path, "offset": 0, **more}


def test_which_files_are_tried() -> None:
    entries = [
        entry("p/a.py"), entry("p/__pycache__/a.cpython-311.pyc", 116),
        entry("p/__pycache__/a.cpython-311.opt-2.pyc", 50),
        entry("p/__pycache__/gone.cpython-311.pyc"),  # its source is not there
        entry("p/__pycache__/a.cpython-312.pyc"),  # no such interpreter
        entry("p/__pycache__/a.pypy39.pyc"), entry("p/b.pyc"),
        entry("p/c.py"), entry("p/__pycache__/c.cpython-311.pyc", 16),  # nothing but a header
        entry("p/d.py"), entry("p/__pycache__/d.cpython-311.pyc"),  # from elsewhere
        entry("usr/bin/python3.11"), entry("opt/bin/python3.11"), entry("usr/bin/python3"),
        {"path": "usr/bin/python3.12", "symlink": "x"},
    ]  # fmt: skip
    assert programs_in(entries) == {"3.11": "/usr/bin/python3.11"}
    found = bytecode_of(entries, {"3.11": 4}, {"p/__pycache__/d.cpython-311.pyc": 1})
    assert found == {
        "/p/__pycache__/a.cpython-311.pyc": Job(source="/p/a.py", optimize=0, program=4, size=100),
        "/p/__pycache__/a.cpython-311.opt-2.pyc": Job(
            source="/p/a.py", optimize=2, program=4, size=34
        ),
    }
