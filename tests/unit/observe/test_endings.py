"""However a recording ends: no process, no mount and no change in the folder is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.observe.recording_sample import Lab, tree
from tests.unit.observe.test_hard_programs import alive, own_word

RECORDER = """
import signal, sys
sys.path[:0] = {path!r}
from repro.errors import Interrupted
from repro.model.step import Step
from repro.observe.recorder import RecordRequest, record

def interrupt(number, frame):
    raise Interrupted(str(number))

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, interrupt)
try:
    record(RecordRequest(
        root={root!r}, steps=(Step(name='s', argv=('/bin/sh', '-c', {script!r})),),
        environment={{'PATH': '/usr/bin:/bin'}}, scratch={scratch!r}, capture={capture!r},
        tracer={tracer!r},
        on_output=lambda data: (sys.stdout.buffer.write(data), sys.stdout.flush()),
    ))
except Interrupted as ending:
    print('interrupted', ending, flush=True)
    sys.exit(130)
"""
SCRIPT = (
    "trap '' INT TERM HUP; echo changed > in.csv; rm old.txt; mkdir d; echo n > d/n; "
    "(setsid sleep {word} &) ; sleep {word} & echo ready; "
    "while :; do cat in.csv > /dev/null; sleep 0.02; done"
)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path, {"in.csv": "1\n", "old.txt": "old"})
    yield made
    made.close()


def start(lab: Lab, word: str, capture: str, tracer: str = "notify") -> subprocess.Popen[bytes]:
    code = RECORDER.format(
        path=[each for each in sys.path if each], root=str(lab.root), scratch=str(lab.scratch),
        script=SCRIPT.format(word=word), capture=capture, tracer=tracer,
    )  # fmt: skip
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    return child


def gone(word: bytes) -> bool:
    deadline = time.monotonic() + 20
    while alive(word) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(word)


@pytest.mark.parametrize("capture", ["overlay", "in-place"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption(lab: Lab, number: signal.Signals, capture: str) -> None:
    before = tree(lab.root)
    word = own_word(700_000 + 10 * number + (capture == "overlay"))
    with start(lab, word, capture) as child:
        child.send_signal(number)
        said, _ = child.communicate(timeout=60)
    assert child.returncode == 130
    assert f"interrupted {int(number)}".encode() in said
    assert gone(word.encode())
    assert tree(lab.root) == before
    assert list(lab.scratch.iterdir()) == []
    assert str(lab.folder) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.parametrize("tracer", ["none", "strace"])
def test_an_interruption_of_the_other_tracers(lab: Lab, tracer: str) -> None:
    from tests.unit.observe.recording_sample import need

    if tracer == "strace":
        need("strace")
    before = tree(lab.root)
    word = own_word(710_000 + len(tracer))
    with start(lab, word, "overlay", tracer) as child:
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=60)
    assert child.returncode == 130
    assert gone(word.encode())
    assert tree(lab.root) == before


def test_a_killed_recorder_hangs_nobody_and_leaves_the_folder(lab: Lab) -> None:
    before = tree(lab.root)
    word = own_word(720_001)
    with start(lab, word, "overlay") as child:
        below = descendants(child.pid)
        assert len(below) >= 2
        child.kill()
        child.communicate(timeout=60)
    deadline = time.monotonic() + 20
    # The first program is killed with its recorder; the loop's next call would fail.
    while any(command(pid).startswith(b"/bin/sh") for pid in below):
        assert time.monotonic() < deadline, [command(pid) for pid in below]
        time.sleep(0.02)
    assert tree(lab.root) == before
    for pid in below:
        if word.encode() in command(pid):
            os.kill(pid, signal.SIGKILL)  # idle: it makes no call that could fail
    assert gone(word.encode())


def test_an_error_while_recording_puts_the_folder_back(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(lab.root)
    monkeypatch.setattr(
        "repro.observe.inplace.InPlace.finish", lambda *_: (_ for _ in ()).throw(OSError("full"))
    )
    with pytest.raises(OSError, match="full"):
        lab.sh("echo 2 > in.csv; rm old.txt; echo n > n", capture="in-place")
    assert tree(lab.root) == before
    assert list(lab.scratch.iterdir()) == []


def descendants(pid: int) -> list[int]:
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_recorded_program_starts_with_no_signal_blocked_or_ignored(lab: Lab) -> None:
    seen = lab.sh("grep -E 'Sig(Blk|Ign)' /proc/self/status")
    # Signals 32 and 33 belong to the C library: whoever started the tests may have set them.
    own = ~(0b11 << 31)
    assert {int(line.split()[1], 16) & own for line in seen.steps[0].tail} == {0}
