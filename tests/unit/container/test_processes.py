"""A process is told apart by number, start and boot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from repro.container.processes import (
    Process,
    await_init,
    boot_id,
    process,
    runs_command,
    terminate_children,
)
from repro.errors import StorageError

BOOT = boot_id()


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as made:
        yield made
        made.kill()


def known(pid: int) -> Process:
    found = process(pid, BOOT)
    assert found is not None
    return found


def test_alive_while_it_runs(child: subprocess.Popen[bytes]) -> None:
    found = known(child.pid)
    assert found.alive(BOOT) and Process.parse(found.to_json()) == found
    child.kill()
    assert found.wait(BOOT, 5)
    assert not found.alive(BOOT), "ended, though nobody waited for it"


@pytest.mark.parametrize("change", [{"start": 1}, {"boot": "another"}])
def test_another_process_of_the_same_number(
    child: subprocess.Popen[bytes], change: dict[str, object]
) -> None:
    other = replace(known(child.pid), **change)
    assert not other.alive(BOOT)
    assert other.open(BOOT) is None
    assert not other.send(signal.SIGKILL, BOOT)
    assert other.wait(BOOT, 0)
    assert child.poll() is None


def test_without_a_boot_id_nothing_is_known_alive() -> None:
    assert not replace(known(os.getpid()), boot="").alive("")


def test_children_are_asked_to_end() -> None:
    script = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); sys.exit(p.wait())"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None and parent.stdout.readline()
        assert terminate_children(known(parent.pid), BOOT) == 1
        assert parent.wait(10) != 0
    assert terminate_children(Process(pid=parent.pid, start=1, boot=BOOT), BOOT) == 0


@pytest.mark.parametrize("value", [None, {}, {"pid": 1, "start": 2, "boot": "x"}, {"pid": "7"},
                                   {"pid": True, "start": 2, "boot": "x"}])  # fmt: skip
def test_nonsense_is_no_process(value: object) -> None:
    with pytest.raises(StorageError):
        Process.parse(value)


def test_a_command_is_seen_once_it_runs() -> None:
    """A launcher's copy of itself is no command yet."""
    script = (
        "import os, sys\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    sys.stdin.readline()\n"
        "    os.execvp('sleep', ['sleep', '60'])\n"
        "print(pid, flush=True)\n"
        "os.waitpid(pid, 0)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdin is not None and parent.stdout is not None
        child = int(parent.stdout.readline())
        init = known(parent.pid)
        assert runs_command(init) is False
        parent.stdin.write(b"\n")
        parent.stdin.flush()
        assert await_init(init, BOOT, 20) and runs_command(init) is True
        os.kill(child, signal.SIGKILL)
        parent.wait(20)
        assert runs_command(init) is False, "gone"
