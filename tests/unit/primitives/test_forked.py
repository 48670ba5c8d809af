from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.errors import ProjectError
from repro.primitives.forked import Ended, Tell, in_processes


def told(number: int, thing: object) -> None:
    raise AssertionError(f"{number} told {thing}")


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_values_come_in_order_and_what_was_told_with_its_number() -> None:
    def call(number: int) -> Callable[[Tell], tuple[int, int]]:
        def work(tell: Tell) -> tuple[int, int]:
            tell(b"x" * 1000 * number)
            tell("end")
            return number, os.getpid()

        return work

    heard: dict[int, list[object]] = {}
    found = in_processes(
        [call(number) for number in range(20)], 3,
        lambda number, thing: heard.setdefault(number, []).append(thing),
    )  # fmt: skip
    assert [number for number, _ in found] == list(range(20))
    assert heard == {number: [b"x" * 1000 * number, "end"] for number in range(20)}
    pids = {pid for _, pid in found}
    assert os.getpid() not in pids and 1 <= len(pids) <= 3
    assert not children()


def test_calls_go_on_beside_each_other(tmp_path: Path) -> None:
    """Each waits until the other has begun."""

    def call(own: str, other: str) -> Callable[[Tell], bool]:
        def work(tell: Tell) -> bool:
            (tmp_path / own).touch()
            for _ in range(1000):
                if (tmp_path / other).exists():
                    return True
                time.sleep(0.02)
            return False

        return work

    assert in_processes([call("a", "b"), call("b", "a")], 2, told) == [True, True]


def test_an_error_arrives_whole_and_ends_the_others() -> None:
    def fails(tell: Tell) -> None:
        raise ProjectError("no", hint="mend it", details=["a", "b"], slug="changed")

    def lasts(tell: Tell) -> None:
        time.sleep(600)

    with pytest.raises(ProjectError) as caught:
        in_processes([lasts, fails, lasts], 3, told)
    error = caught.value
    assert (error.message, error.hint, error.details, error.slug) == (
        "no", "mend it", ("a", "b"), "changed",
    )  # fmt: skip
    assert "in fails" in str(error.__cause__)
    assert not children()


def test_an_error_that_cannot_travel_is_told_of() -> None:
    class Here(Exception):
        pass

    def fails(tell: Tell) -> None:
        raise Here("only here")

    def long(tell: Tell) -> None:
        raise ProjectError("x" * 1_000_000)

    with pytest.raises(Ended, match="only here"):
        in_processes([fails], 1, told)
    with pytest.raises(Ended, match="ProjectError"):
        in_processes([long], 1, told)


def test_a_process_that_is_killed_is_no_success() -> None:
    def dies(tell: Tell) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(Ended, match="in the middle of its work"):
        in_processes([dies, lambda tell: None], 2, told)
    assert not children()


def test_values_are_told_of_as_they_come() -> None:
    came: list[tuple[int, str]] = []

    def fails(tell: Tell) -> str:
        raise ProjectError("no")

    with pytest.raises(ProjectError):
        in_processes(
            [lambda tell: "a", lambda tell: "b", fails], 1, told,
            lambda number, value: came.append((number, value)),
        )  # fmt: skip
    assert came == [(0, "a"), (1, "b")]


def test_what_hears_may_end_it() -> None:
    def tells(tell: Tell) -> None:
        tell(1)
        time.sleep(600)

    def heard(number: int, thing: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_processes([tells, tells], 2, heard)
    assert not children()


def test_a_parent_that_is_killed_leaves_none(tmp_path: Path) -> None:
    code = f"""
import os, sys, time
sys.path[:0] = {[each for each in sys.path if each]!r}
from repro.primitives.forked import in_processes

def work(tell):
    os.write(1, b"%d\\n" % os.getpid())
    while True:
        tell(1)
        time.sleep(0.01)

in_processes([work, work], 2, lambda number, thing: None)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert all(int(parent.stdout.readline()) for _ in range(2))
    parent.kill()
    parent.wait()
    # Both hold the other end: what comes now is the end of both.
    assert parent.stdout.read() == ""
    parent.stdout.close()


def test_an_interruption_in_the_middle_of_a_fork_is_not_lost() -> None:
    """Python ignores what a handler raises in the hooks that it runs around fork(2)."""
    code = f"""
import os, signal, sys
sys.path[:0] = {[each for each in sys.path if each]!r}
from repro.primitives import forked

def interrupt(number, frame):
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, interrupt)
os.register_at_fork(after_in_parent=lambda: (os.kill(os.getpid(), signal.SIGTERM), 1)[1])
try:
    if forked.fork() == 0:
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        forked.let_interruptions_end_it()
        os._exit(0 if signal.SIGTERM in blocked else 9)
    print("lost")
except KeyboardInterrupt:
    print("raised", os.wait()[1])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("raised 0\n", "")
