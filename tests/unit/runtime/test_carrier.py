"""The carrier of engines, with a program in an engine's place that never gets done."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest

from repro.errors import RuntimeUnavailable
from repro.model.ports import SandboxRequest
from repro.runtime.carrier import Calls, run_carried
from repro.runtime.watch import Watch


def test_a_report_is_not_waited_for_beyond_the_deadline() -> None:
    status, told = os.pipe()
    try:
        watch = Watch(0, status, own_group=False)
        assert watch.await_report("inner-pid", time.monotonic() + 0.05) is None
        os.write(told, b'{"inner-pid": 7}\n')
        assert watch.await_report("inner-pid", time.monotonic()) == 7
    finally:
        os.close(status)
        os.close(told)


def test_an_engine_that_hangs_while_it_sets_up_is_ended_in_time(tmp_path: Path) -> None:
    for name in ("lower/bin", "upper", "work"):
        (tmp_path / name).mkdir(parents=True)
    program = tmp_path / "lower" / "bin" / "x"
    program.write_bytes(b"#!")
    program.chmod(0o755)
    calls = Calls(calls=(("/bin/sleep", "30"),), start=("/bin/true",), files={}, pid_file="/run/p")
    started = time.monotonic()
    with tempfile.TemporaryFile() as heard:
        request = SandboxRequest(
            layers=[str(tmp_path / "lower")], upper=str(tmp_path / "upper"),
            work=str(tmp_path / "work"), argv=["/bin/x"], environment={}, cwd="/",
            stdout=heard.fileno(), stderr=heard.fileno(), timeout=0.5,
        )  # fmt: skip
        try:
            result = run_carried(request, lambda _: calls, "hanging")
        except RuntimeUnavailable as error:
            pytest.skip(f"no namespaces or overlay here: {error.details}")
    assert result.timed_out and result.exit != 0
    assert time.monotonic() - started < 10
