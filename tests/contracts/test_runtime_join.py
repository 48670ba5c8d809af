"""Every engine that can join a running sandbox gives the second command no more than the first.

For root and for a user without its rights.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator

import pytest

from repro.container.processes import await_init, boot_id, process
from repro.errors import RerunFailed, RuntimeUnavailable
from repro.model.limits import NO_LIMITS, Limits
from repro.model.ports import JoinRequest, SandboxResult
from repro.runtime.base import Runtime
from tests.contracts.runtime_box import ENVIRONMENT, NAP, Box, living
from tests.other_user import as_user


@pytest.fixture(autouse=True)
def _can_join(engine: Runtime) -> None:
    if not engine.joins:
        pytest.skip(f"{engine.name} does not join; test_an_engine_that_cannot_join_says_so")


_FACTS = ("Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
          "Seccomp_filters")  # fmt: skip
STATUS = "cat /proc/self/status"
NAMESPACES = "for n in user mnt pid net ipc uts cgroup; do ls -l /proc/self/ns/$n; done"


@contextlib.contextmanager
def running(box: Box, *argv: str, limits: Limits = NO_LIMITS) -> Iterator[int]:
    """A sandbox whose command runs; the number of its first process."""
    told = box.folder / "init"
    told.unlink(missing_ok=True)

    def started(pid: int) -> None:
        (box.folder / "init.new").write_text(str(pid))
        (box.folder / "init.new").rename(told)

    watcher = os.fork()
    if watcher == 0:
        try:
            box.run(*(argv or ("sleep", NAP)), limits=limits, started=started)
        finally:
            os._exit(0)
    try:
        deadline = time.monotonic() + 20
        while not told.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        init = process(int(told.read_text()), boot_id())
        assert init is not None and await_init(init, boot_id(), 20)
        yield init.pid
    finally:
        with contextlib.suppress(OSError):
            os.kill(int(told.read_text()), signal.SIGKILL)
        os.waitpid(watcher, 0)
        assert not living()


def join(box: Box, init: int, *argv: str, limits: Limits = NO_LIMITS, **more: str) -> SandboxResult:
    with box.out.open("wb") as out, box.err.open("wb") as err:
        request = JoinRequest(
            init=init, argv=argv, environment=ENVIRONMENT, cwd=more.get("cwd", "/project"),
            stdout=out.fileno(), stderr=err.fileno(), upper=str(box.upper), limits=limits,
        )  # fmt: skip
        return as_user(box.user, lambda: box.engine.join(request))


def facts(text: str) -> dict[str, list[str]]:
    lines = [line.split() for line in text.splitlines()]
    return {line[0].rstrip(":"): line[1:] for line in lines if line and line[0][:-1] in _FACTS}


def test_the_same_rights_as_the_first_command(box: Box) -> None:
    assert box.sh(f"{STATUS} > /project/first; id >> /project/first").exit == 0
    first = (box.upper / "project/first").read_text()
    with running(box) as init:
        assert join(box, init, "sh", "-c", f"{STATUS}; id").exit == 0
    assert set(facts(first)) == set(_FACTS)
    assert facts(box.said()) == facts(first)
    assert box.said().splitlines()[-1] == first.splitlines()[-1]


def test_the_same_namespaces(box: Box) -> None:
    script = f"{{ {NAMESPACES}; }} > ns; exec sleep {NAP}"
    with running(box, "sh", "-c", script) as init:
        deadline = time.monotonic() + 10
        place = box.upper / "project/ns"
        while not place.exists() or place.read_text().count("\n") < 7:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert join(box, init, "sh", "-c", NAMESPACES).exit == 0
        first = [line.split()[-1] for line in place.read_text().splitlines()]
        assert [line.split()[-1] for line in box.said().splitlines()] == first
        ours = {os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns")}
        assert not ours & set(first)


def test_files_environment_and_descriptors(box: Box) -> None:
    held = os.open("/", os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        with running(box, "sh", "-c", f"echo one > made; exec sleep {NAP}") as init:
            script = "cat made; echo two > /project/more; env; ls /proc/$$/fd; :"
            assert join(box, init, "/bin/sh", "-c", script).exit == 0
    finally:
        os.close(held)
    lines = box.said().splitlines()
    assert lines[0] == "one" and (box.upper / "project/more").read_text() == "two\n"
    assert sorted(line for line in lines[1:] if "=" in line) == ["A=b c", "HOME=/home/a",
        "PATH=/usr/bin:/bin", "PWD=/project"]  # fmt: skip
    assert lines[-3:] == ["0", "1", "2"] and "3" not in lines


def test_how_it_ended_is_told(box: Box) -> None:
    with running(box) as init:
        assert join(box, init, "sh", "-c", "exit 5").exit == 5
        assert join(box, init, "sh", "-c", "kill -9 $$").exit == 137
        with pytest.raises(RerunFailed, match="nothing-such"):
            join(box, init, "nothing-such")
        with pytest.raises(RerunFailed, match="/nowhere"):
            join(box, init, "sh", cwd="/nowhere")
        with pytest.raises(RerunFailed, match="NUL"):
            join(box, init, "sh", "-c", "a\0b")


def test_it_ends_with_the_sandbox(box: Box) -> None:
    # The first ends once the second runs, however long that takes.
    with running(box, "sh", "-c", "until test -e joined; do sleep 0.1; done") as init:
        assert join(box, init, "sh", "-c", f"echo > joined; exec sleep {NAP}").exit == 137
        with pytest.raises(RuntimeUnavailable):
            join(box, init, "sh")


def test_a_killed_caller_takes_it_along(box: Box) -> None:
    with running(box, "sleep", str(int(NAP) + 1)) as init:
        caller = os.fork()
        if caller == 0:
            try:
                join(box, init, "sleep", NAP)
            finally:
                os._exit(0)
        deadline = time.monotonic() + 10
        while not living():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        # The process that calls the engine: a child of ours, or its child as another user.
        with open(f"/proc/{caller}/task/{caller}/children") as stream:
            children = list(map(int, stream.read().split()))
        os.kill(children[0] if box.user is not None else caller, signal.SIGKILL)
        os.waitpid(caller, 0)
        while living():
            assert time.monotonic() < deadline + 5, living()
            time.sleep(0.01)
        assert join(box, init, "true").exit == 0, "the sandbox itself goes on"


def test_the_sandbox_s_limits_hold_it_too(box: Box) -> None:
    limits = Limits(memory=200 << 20, pids=40)
    with running(box, limits=limits) as init:
        hog = join(box, init, "sh", "-c", "x=a; while :; do x=$x$x; done", limits=limits)
        assert hog.exit != 0
    with running(box, limits=limits) as init:
        script = f"i=0; while [ $i -lt 80 ]; do sleep {NAP} & i=$((i+1)); done; wait"
        assert join(box, init, "sh", "-c", script, limits=limits).exit != 0


@pytest.mark.parametrize("other", ["own", "gone"])
def test_nothing_but_a_sandbox_is_joined(box: Box, other: str) -> None:
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    try:
        if other == "gone":
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        with pytest.raises(RuntimeUnavailable):
            join(box, pid, "sh")
    finally:
        if other == "own":
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
