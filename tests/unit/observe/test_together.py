"""Steps that are recorded at once: order, whose process touched what, races, failures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from repro.errors import ProjectError
from repro.model.observation import Change, Observation
from repro.model.step import Step
from tests.unit.observe.recording_sample import ENVIRONMENT, Lab, access, changes, got, need


def sh(name: str, script: str, *needs: str, timeout: float | None = 60) -> Step:
    return Step(name=name, argv=("/bin/sh", "-ec", script), needs=needs, timeout=timeout)


def meet(own: str, other: str) -> str:
    """Shell text that ends only when two steps run at the same time."""
    return (
        f"touch $MEET/{own}; n=0; while [ ! -e $MEET/{other} ]; do sleep 0.01; n=$((n+1)); "
        "[ $n -lt 3000 ] || exit 9; done; "
    )


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    (tmp_path / "meet").mkdir()
    return Lab(tmp_path, {"in.txt": "1\n"})


def record(lab: Lab, *steps: Step, jobs: int = 4, **changes: object) -> Observation:
    environment = {**ENVIRONMENT, "MEET": str(lab.folder / "meet")}
    return lab.record(*steps, jobs=jobs, environment=environment, **changes)


def step_of(seen: Observation, number: int | None) -> str | None:
    assert number is not None
    return seen.processes[number].step


@pytest.mark.parametrize("tracer", ["notify", "strace"])
def test_steps_that_nothing_orders_run_at_once_and_what_each_did_is_known(
    lab: Lab, tracer: str
) -> None:
    if tracer == "strace":
        need("strace")
    seen = record(
        lab,
        sh("one", meet("one", "two") + "cat in.txt > one.txt"),
        sh("two", meet("two", "one") + "cat in.txt > two.txt"),
        sh("both", "cat one.txt two.txt > both.txt", "one", "two"),
        tracer=tracer,
    )
    assert [(step.name, step.exit) for step in seen.steps] == [("one", 0), ("two", 0), ("both", 0)]
    made = {name: Path(seen.upper, name).read_text() for name in ("one.txt", "both.txt")}
    assert made == {"one.txt": "1\n", "both.txt": "1\n1\n"}
    assert changes(seen) == dict.fromkeys(("both.txt", "one.txt", "two.txt"), Change.CREATED)
    for name in ("one", "two", "both"):
        line = got(seen, lab.root / f"{name}.txt")
        assert step_of(seen, line.first_writer) == name and not line.read_first
    assert got(seen, lab.root / "in.txt").read_first
    numbers = [process.number for process in seen.processes]
    assert numbers == list(range(len(numbers)))
    assert all(p.parent is None or p.parent < p.number for p in seen.processes)
    assert lab.tree().keys() == {"in.txt"}


def test_no_more_steps_run_at_once_than_asked_for(lab: Lab) -> None:
    count = "n=$(ls $MEET/.running-* 2>/dev/null | wc -l); echo $n > {0}.txt; "
    script = "touch $MEET/.running-{0}; " + count + "sleep 0.1; rm $MEET/.running-{0}"
    seen = record(lab, *(sh(f"s{n}", script.format(f"s{n}")) for n in range(6)), jobs=2)
    counts = [int(Path(seen.upper, f"s{n}.txt").read_text()) for n in range(6)]
    assert max(counts) <= 2 and min(counts) >= 1


def test_a_step_overwrites_an_input_after_another_has_read_it(lab: Lab) -> None:
    seen = record(
        lab,
        sh("read", "cat in.txt > copy.txt"),
        sh("change", "echo 2 >> in.txt", "read"),
        sh("other", "true"),
    )
    line = got(seen, lab.root / "in.txt")
    assert line.read_first and line.written
    assert step_of(seen, line.first_reader) == "read"
    assert step_of(seen, line.first_writer) == "change"
    assert Path(seen.upper, "in.txt").read_text() == "1\n2\n"


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("cat made.txt > copy.txt || true", "'two' opens made.txt, which 'one' writes"),
        ("cat < ./sub/../made.txt > copy.txt || true", "'two' opens made.txt, which 'one' writes"),
        ("echo x > made.txt", "'one' and 'two' both write made.txt"),
    ],
)
def test_a_race_is_refused_by_both_names_and_with_its_mend(lab: Lab, other: str, said: str) -> None:
    (lab.root / "sub").mkdir()
    with pytest.raises(ProjectError) as raised:
        record(lab, sh("one", "echo x > made.txt"), sh("two", other))
    assert raised.value.slug == "steps-race" and said in raised.value.message
    assert "`needs: [one]` into step 'two'" in str(raised.value.hint)
    assert lab.tree().keys() == {"in.txt", "sub"}


def test_the_same_steps_are_no_race_when_one_needs_the_other(lab: Lab) -> None:
    middle = sh("middle", "true", "one")
    seen = record(
        lab, sh("one", "echo x > made.txt"), middle, sh("two", "cat made.txt > c.txt", "middle")
    )
    assert Path(seen.upper, "c.txt").read_text() == "x\n"


def test_what_is_read_below_a_folder_that_another_step_moves_is_a_race(lab: Lab) -> None:
    with pytest.raises(ProjectError) as raised:
        record(
            lab,
            sh("one", "mkdir part; echo x > part/x.txt; mv part whole"),
            sh("two", "cat whole/x.txt || true; echo > two.txt"),
        )
    assert "'two' opens whole/x.txt, which 'one' writes" in raised.value.message


def test_a_listed_folder_in_which_another_step_writes_is_named(lab: Lab) -> None:
    (lab.root / "parts").mkdir()
    seen = record(lab, sh("one", "echo x > parts/x.txt"), sh("two", "ls parts > /dev/null"))
    (said,) = [text for text in seen.limits if "lists the folder" in text]
    assert "'two' lists the folder of parts/x.txt, which 'one' writes" in said
    assert "`needs: [one]`" in said


def test_a_notebook_waits_for_all_before_it(lab: Lab) -> None:
    book = Step(name="b.ipynb", argv=("/bin/sh", "-ec", "cat one.txt > b.txt"), notebook="b.ipynb")
    seen = record(lab, sh("one", "sleep 0.2; echo x > one.txt"), book)
    assert [step.exit for step in seen.steps] == [0, 0]


def alive(word: str) -> bool:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                return True
        except OSError:
            continue
    return False


def test_a_failed_step_ends_the_others(lab: Lab) -> None:
    seconds = f"6000.{os.getpid()}"
    seen = record(
        lab,
        sh("slow", f"touch $MEET/slow; setsid sleep {seconds} & sleep {seconds}"),
        sh("bad", meet("bad", "slow") + "echo broken; exit 3"),
        sh("later", "touch never.txt", "bad"),
    )
    last = seen.steps[-1]
    assert (last.name, last.exit, last.tail) == ("bad", 3, ("broken",))
    assert [step.name for step in seen.steps] == ["bad"]
    assert "'slow' ran as 'bad' failed, and was ended" in seen.limits
    assert not alive(seconds) and "never.txt" not in changes(seen)


def test_a_failure_that_may_come_from_a_race_says_so(lab: Lab) -> None:
    seen = record(
        lab,
        sh("make", meet("make", "use") + "echo x > late.txt; touch $MEET/made; sleep 60"),
        sh("use", "cat late.txt || true; " + meet("use", "made") + "exit 5"),
    )
    assert (seen.steps[-1].name, seen.steps[-1].exit) == ("use", 5)
    (said,) = [text for text in seen.limits if "ran at once" in text]
    assert "'use' opens late.txt, which 'make' writes" in said and "`needs: [make]`" in said


def test_a_time_limit_and_a_daemon_belong_to_their_own_step(lab: Lab) -> None:
    seconds = f"7000.{os.getpid()}"
    seen = record(
        lab,
        sh("quick", f"setsid sleep {seconds} & echo x > quick.txt"),
        sh("other", "sleep 0.3; echo x > other.txt"),
    )
    assert [step.exit for step in seen.steps] == [0, 0]
    assert [text for text in seen.limits if "outlived" in text] == [
        "sleep outlived 'quick' and was ended after 2 s"
    ]
    assert not alive(seconds)
    late = record(lab, sh("long", f"sleep {seconds}", timeout=0.3), sh("fine", "true"))
    assert late.steps[-1].name == "long" and late.steps[-1].timed_out


def test_what_steps_print_is_not_interleaved(lab: Lab) -> None:
    shown: list[bytes] = []
    talk = "for i in 1 2 3; do echo {0}$i; sleep 0.05; done"
    record(
        lab,
        sh("a", meet("a", "b") + talk.format("a")),
        sh("b", meet("b", "a") + talk.format("b")),
        on_output=shown.append,
    )
    lines = b"".join(shown).decode().split()
    assert sorted(lines) == ["a1", "a2", "a3", "b1", "b2", "b3"]
    assert lines in (sorted(lines), sorted(lines, key=lambda t: (t[0] != "b", t)))


def test_files_elsewhere_are_kept_as_they_were_before_all_steps(lab: Lab) -> None:
    place = lab.folder / "elsewhere.txt"
    place.write_text("before\n")
    seen = record(
        lab,
        *(
            sh(name, meet(name, other) + f"cat in.txt >> {place}; echo > {name}")
            for name, other in (("one", "two"), ("two", "one"))
        ),
    )
    (copy,) = [copy for path, copy in seen.outside.items() if path == str(place)]
    assert Path(copy).read_text() == "before\n"
    assert place.read_text() == "before\n1\n1\n"


@pytest.mark.parametrize("how", [{"capture": "in-place"}, {"tracer": "none"}])
def test_where_steps_cannot_be_told_apart_they_run_in_order_and_that_is_said(
    lab: Lab, how: dict[str, str]
) -> None:
    seen = record(lab, sh("one", "echo 1 >> x.txt"), sh("two", "echo 2 >> x.txt"), **how)
    assert any("ran one after the other" in text for text in seen.limits)
    assert Path(seen.upper, "x.txt").read_text() == "1\n2\n"
    assert access(seen, lab.root / "nothing") is None


RECORDER = """
import json, os, signal, sys
# A shell's background job, as a gate may be, is started with it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
from repro.model.step import Step
from repro.observe.recorder import RecordRequest, record
root, scratch, meet, words = json.loads(sys.argv[1])
steps = tuple(Step(name=f"s{n}", argv=("/bin/sh", "-ec", text)) for n, text in enumerate(words))
record(RecordRequest(root=root, steps=steps, scratch=scratch, jobs=2,
                     environment={"PATH": "/usr/bin:/bin", "MEET": meet}))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_when_the_recorder_is_ended(lab: Lab, number: signal.Signals) -> None:
    seconds = f"8000.{os.getpid()}{int(number)}"
    meeting = lab.folder / "meet"
    words = [f"touch $MEET/{n}; setsid sleep {seconds} & sleep {seconds}" for n in range(2)]
    asked = json.dumps([str(lab.root), str(lab.scratch), str(meeting), words])
    with subprocess.Popen([sys.executable, "-c", RECORDER, asked], stderr=-3) as process:
        deadline = time.monotonic() + 60
        while len(list(meeting.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        try:
            assert alive(seconds)
            process.send_signal(number)
            process.wait(60)
        finally:
            process.kill()
    deadline = time.monotonic() + 30
    while alive(seconds) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(seconds)
    assert lab.tree().keys() == {"in.txt"}
