"""The kernel's log, with a file in its place where it cannot be written to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from repro.runtime.kernel_log import KernelLog


def test_only_what_is_new(tmp_path: Path) -> None:
    place = tmp_path / "kmsg"
    place.write_text("fork rejected by pids controller in /docker/one\n")
    with KernelLog(str(place)) as log, place.open("a") as more:
        assert not log.says("fork rejected", "/docker/one")
        more.write("fork rejected by pids controller in /docker/two\n")
        more.flush()
        assert log.says("fork rejected", "/docker/two")
        assert not log.says("fork rejected", "/docker/two"), "each record once"


def test_a_closed_log_says_nothing(tmp_path: Path) -> None:
    with KernelLog(str(tmp_path / "nothing-here")) as log:
        assert not log.says("")
    log.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes into the kernel's log")
def test_the_machine_s_own() -> None:
    with KernelLog() as log:
        try:
            Path("/dev/kmsg").write_text(f"repro-test-{os.getpid()}\n")
        except OSError as error:
            pytest.skip(f"/dev/kmsg: {error}")
        assert log.says(f"repro-test-{os.getpid()}")
