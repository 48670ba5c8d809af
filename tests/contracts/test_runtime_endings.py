"""How runs end under every engine: by signals, by our own death, several at once."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from repro.errors import Interrupted
from repro.model.ports import SandboxResult
from repro.runtime.base import Runtime
from tests.contracts.runtime_box import NAP, Box, living
from tests.other_user import as_user, given


@contextlib.contextmanager
def running(box: Box, *, raising: bool) -> Iterator[int]:
    """The id of a process that waits for a sandboxed sleep; ``raising``: as the command line."""
    pid = os.fork()
    if pid == 0:
        _sleep_in(box, raising)
    try:
        for _ in range(1500):
            if "ready" in (box.out.read_text() if box.out.exists() else ""):
                break
            time.sleep(0.02)
        else:
            raise AssertionError(box.err.read_text())
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _sleep_in(box: Box, raising: bool) -> None:
    def interrupt(number: int, _: object) -> None:
        raise Interrupted(str(number))

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt if raising else signal.SIG_DFL)
    if box.user is not None:
        os.setgroups([])
        os.setgid(box.user)
        os.setuid(box.user)
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
    out = os.open(box.folder / "out", os.O_CREAT | os.O_WRONLY)
    err = os.open(box.folder / "err", os.O_CREAT | os.O_WRONLY)
    script = f"sleep {NAP} & (sleep {NAP} &) ; echo ready; sleep {NAP}"
    try:
        box.engine.run(box.request(out, err, "/bin/sh", "-c", script))
    except Interrupted:
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            os._exit(99 if not living() else 98)  # nothing lives and nothing waits for us
        os._exit(97)
    os._exit(96)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_no_process(box: Box, number: int) -> None:
    with running(box, raising=True) as pid:
        os.kill(pid, number)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 99
    assert not living()
    assert {path.name for path in box.folder.iterdir()} == {"upper", "work", "out", "err"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_our_own_death_leaves_no_process(box: Box, number: int) -> None:
    with running(box, raising=False) as pid:
        assert living()
        os.kill(pid, number)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -number
        for _ in range(1500):
            if not living():
                break
            time.sleep(0.02)
    assert not living()


def test_a_killed_launcher_leaves_no_process(box: Box) -> None:
    """As the kernel does when memory runs out."""
    with running(box, raising=False) as pid:
        time.sleep(0.5 if box.engine.name == "docker" else 0)  # until its state is known
        # Under docker the first one is the guard, which only removes what is left.
        launcher = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[-1])
        os.kill(launcher, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 96
    assert not living()


def test_several_at_once(engine: Runtime, layer: Path, folder: Path, user: int | None) -> None:
    def all_of_them() -> list[tuple[int, bool]]:
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda box: box.sh(f"echo {box.folder.name}"), boxes))
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        weighed = [bool(r.cost.peak_memory) or not engine.measures_all for r in results]
        return [(result.exit, known) for result, known in zip(results, weighed, strict=True)]

    boxes = []
    for number in range(8):
        (folder / str(number)).mkdir()
        boxes.append(Box(engine, [layer], given(folder / str(number), user), user))
    for box in boxes:
        box.user = None
    # A child of its own, whose children are these sandboxes alone.
    assert as_user(os.getuid() if user is None else user, all_of_them) == [(0, True)] * 8
    assert [box.said() for box in boxes] == [f"{number}\n" for number in range(8)]


def test_a_caller_that_ignores_its_children(box: Box) -> None:
    def work() -> SandboxResult:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        assert box.engine.usable() is None
        found = box.sh(f"(sleep {NAP} &) ; exit 6")
        assert signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
        return found

    user, box.user = box.user, None
    assert as_user(os.getuid() if user is None else user, work).exit == 6
    assert not living()
