"""Recording whole runs: reads, writes, programs, steps, hidden and seeded files."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from repro.errors import ProjectError
from repro.model.observation import Change
from repro.model.step import Step
from repro.observe.capture import write_back
from tests.unit.observe.recording_sample import (
    ENVIRONMENT,
    PYTHON,
    Lab,
    access,
    changes,
    compiled,
    got,
    need,
    tree,
)  # fmt: skip

FILES = {"in.csv": "1\n", "data/a": "a", "data/b": "b", "old.txt": "old"}


@pytest.fixture(params=["overlay", "in-place"])
def capture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path, FILES)
    yield made
    made.close()


def test_inputs_outputs_and_programs(lab: Lab, capture: str) -> None:
    seen = lab.sh("cat in.csv > out.csv; ls data > list", capture=capture)
    assert (seen.tracer, seen.capture) == ("notify", capture)
    read = got(seen, lab.root / "in.csv")
    assert read.read and read.read_first and not read.written
    made = got(seen, lab.root / "out.csv")
    assert made.written and not made.read
    assert got(seen, lab.root / "data").listed
    assert changes(seen) == {"list": Change.CREATED, "out.csv": Change.CREATED}
    assert Path(seen.upper, "out.csv").read_text() == "1\n"
    programs = {each.number: each for each in seen.processes}
    assert [each.exe for each in seen.processes] == ["/bin/sh", "/usr/bin/cat", "/usr/bin/ls"]
    assert programs[1].argv == ("cat", "in.csv") and programs[1].parent == 0
    assert programs[0].parent is None
    assert programs[1].cwd == str(lab.root)
    assert (read.first_reader, made.first_writer) == (1, 0)
    assert got(seen, "/usr/bin/cat").executed
    assert not any(each.path.startswith(("/proc/", "/dev/")) for each in seen.accesses)


def test_the_loader_and_the_libraries_of_a_program_are_seen(lab: Lab) -> None:
    seen = lab.sh("true")
    names = {each.path.rpartition("/")[2] for each in seen.accesses if each.read_first}
    assert any(name.startswith("ld-") for name in names)
    assert "libc.so.6" in names


def test_a_script_names_its_interpreter(lab: Lab) -> None:
    script = lab.root / "run"
    script.write_text("#!/usr/bin/env -S sh -e\necho hello\n")
    script.chmod(0o755)
    seen = lab.run("./run")
    assert seen.steps[0].tail == ("hello",)
    assert got(seen, script).executed
    assert got(seen, "/usr/bin/env").executed
    assert any(each.exe.endswith("/sh") for each in seen.processes)


def test_the_folder_is_untouched_by_an_overlay_and_restorable_in_place(
    lab: Lab, capture: str
) -> None:
    before = lab.tree()
    seen = lab.sh("echo 2 >> in.csv; rm data/a; mkdir new; echo n > new/n", capture=capture)
    expected = {
        "data/a": Change.DELETED, "in.csv": Change.CHANGED, "new/n": Change.CREATED,
    }  # fmt: skip
    assert changes(seen) == expected
    assert (lab.tree() == before) == (capture == "overlay")
    from repro.observe.capture import restore

    restore(seen, str(lab.root))
    assert lab.tree() == before
    write_back(seen, str(lab.root))
    assert (lab.root / "in.csv").read_text() == "1\n2\n"
    assert (lab.root / "new/n").read_text() == "n\n"
    assert not (lab.root / "data/a").exists()


def test_an_overwritten_input_keeps_its_state_before(lab: Lab, capture: str) -> None:
    seen = lab.sh("tr 1 2 < in.csv > tmp; mv tmp in.csv", capture=capture)
    both = got(seen, lab.root / "in.csv")
    assert both.read_first and both.written
    assert changes(seen) == {"in.csv": Change.CHANGED}
    kept = lab.root if seen.before is None else Path(seen.before)
    assert (kept / "in.csv").read_text() == "1\n"
    assert Path(seen.upper, "in.csv").read_text() == "2\n"


def test_a_program_that_deletes_its_input(lab: Lab, capture: str) -> None:
    seen = lab.sh("cat in.csv; rm in.csv", capture=capture)
    assert got(seen, lab.root / "in.csv").read_first
    assert changes(seen) == {"in.csv": Change.DELETED}
    kept = lab.root if seen.before is None else Path(seen.before)
    assert (kept / "in.csv").read_text() == "1\n"


def test_hidden_results_are_not_there(lab: Lab, capture: str) -> None:
    seen = lab.sh("test ! -e old.txt; ls", hide=("old.txt",), capture=capture)
    assert "old.txt" not in seen.steps[0].tail
    assert changes(seen) == {}
    assert access(seen, lab.root / "old.txt") is None


def test_a_hidden_result_that_is_made_again_is_new(lab: Lab, capture: str) -> None:
    seen = lab.sh("cat old.txt || echo new > old.txt", hide=("old.txt",), capture=capture)
    assert changes(seen) == {"old.txt": Change.CREATED}
    made = got(seen, lab.root / "old.txt")
    assert made.written and not made.read_first


def test_hidden_folders(lab: Lab, capture: str) -> None:
    before = lab.tree()
    seen = lab.sh(
        "test ! -e data; mkdir data; echo n > data/a; ls data",
        hide=("data", "data/b", "nowhere/x"), capture=capture,
    )  # fmt: skip
    assert seen.steps[0].tail == ("a",)
    assert changes(seen) == {"data/a": Change.CREATED}
    from repro.observe.capture import restore

    restore(seen, str(lab.root))
    assert lab.tree() == before


def test_make_builds_although_its_results_are_up_to_date(tmp_path: Path) -> None:
    need("make")
    lab = Lab(tmp_path, {"Makefile": "out: in\n\tcat in > out\n", "in": "1", "out": "1"})
    up_to_date = lab.run("make")
    assert changes(up_to_date) == {}
    built = lab.run("make", hide=("out",))
    assert changes(built) == {"out": Change.CREATED}
    assert got(built, lab.root / "in").read_first
    lab.close()


def test_seeds_are_seen_and_are_no_results(lab: Lab, capture: str) -> None:
    before = lab.tree()
    seen = lab.sh(
        "cat .r/runner.sh; . ./.r/runner.sh",
        seed={".r/runner.sh": b"echo from the seed\n"}, capture=capture,
    )  # fmt: skip
    assert seen.steps[0].tail == ("echo from the seed", "from the seed")
    assert changes(seen) == {}
    assert got(seen, lab.root / ".r/runner.sh").read_first
    assert Path(seen.upper, ".r/runner.sh").read_bytes() == b"echo from the seed\n"
    from repro.observe.capture import restore

    restore(seen, str(lab.root))
    assert lab.tree() == before


def test_a_seed_in_a_hidden_folder_and_over_a_hidden_file(lab: Lab, capture: str) -> None:
    seen = lab.sh(
        "cat data/a old.txt; test ! -e data/b",
        hide=("data", "old.txt"), seed={"data/a": b"seed\n", "old.txt": b"too\n"},
        capture=capture,
    )  # fmt: skip
    assert seen.steps[0].tail == ("seed", "too")
    assert changes(seen) == {}


def test_a_seed_that_the_run_rewrites_is_a_change(lab: Lab, capture: str) -> None:
    seen = lab.sh("echo new > s", seed={"s": b"seed"}, capture=capture)
    assert changes(seen) == {"s": Change.CREATED}


def test_steps_share_the_folder_and_stop_at_the_first_failure(lab: Lab, capture: str) -> None:
    steps = (
        Step(name="one", argv=("sh", "-c", "echo 1 > x; echo said")),
        Step(name="two", argv=("sh", "-c", "cat ../x; exit 3"), cwd="data"),
        Step(name="three", argv=("sh", "-c", "echo never > y")),
    )
    seen = lab.record(*steps, capture=capture)
    assert [(step.name, step.exit, step.tail) for step in seen.steps] == [
        ("one", 0, ("said",)), ("two", 3, ("1",)),
    ]  # fmt: skip
    assert changes(seen) == {"x": Change.CREATED}


def test_a_later_step_may_run_what_an_earlier_one_made(lab: Lab, capture: str) -> None:
    steps = (
        Step(name="build", argv=("sh", "-c", "printf '#!/bin/sh\\necho built\\n' > t; chmod +x t")),
        Step(name="run", argv=("./t",)),
    )
    seen = lab.record(*steps, capture=capture)
    assert seen.steps[1].tail == ("built",)
    assert seen.processes[-1].exe == str(lab.root / "t")
    assert got(seen, lab.root / "t").executed


@pytest.mark.parametrize("argv", [("no-such-command",), ("./nothing",), ("./in.csv",), ("data",)])
def test_a_command_that_is_none_fails_before_anything_runs(
    lab: Lab, argv: tuple[str, ...], capture: str
) -> None:
    for steps in (
        (Step(name="x", argv=argv),),
        (Step(name="first", argv=("sh", "-c", "echo ran > ran")), Step(name="x", argv=argv)),
    ):
        if len(steps) == 2 and "/" in argv[0]:
            continue  # the first step may make it
        before = lab.tree()
        with pytest.raises(ProjectError) as caught:
            lab.record(*steps, capture=capture)
        assert caught.value.slug == "command"
        assert lab.tree() == before
        assert list(lab.scratch.iterdir()) == []


def test_a_program_ended_by_a_signal(lab: Lab) -> None:
    assert lab.run("/bin/sh", "-c", "kill -TERM $$").steps[0].exit == 128 + 15


def test_a_time_limit_ends_everything(lab: Lab) -> None:
    seen = lab.run("/bin/sh", "-c", "sleep 987 & sleep 987; echo no", timeout=0.3)
    assert seen.steps[0].timed_out and seen.steps[0].exit == 128 + 9
    assert seen.steps[0].tail == ()
    assert not any("outlived" in limit for limit in seen.limits)


def test_the_environment_is_exactly_what_was_asked_for(lab: Lab) -> None:
    seen = lab.run("/usr/bin/env", environment={"PATH": "/usr/bin", "A": "ü \udcff"})
    assert sorted(seen.steps[0].tail) == ["A=ü �", "PATH=/usr/bin"]


def test_the_tail_has_the_last_lines_of_both_streams(lab: Lab) -> None:
    taken: list[bytes] = []
    script = "seq 100; printf 'bad \\377 byte\\n'; echo err >&2; printf unfinished"
    seen = lab.sh(script, on_output=taken.append)
    assert seen.steps[0].tail[-4:] == ("100", "bad � byte", "err", "unfinished")
    assert len(seen.steps[0].tail) == 20
    assert b"".join(taken).startswith(b"1\n2\n") and b"".join(taken).endswith(b"unfinished")


def test_a_taker_of_output_that_fails_does_not_stop_the_run(lab: Lab) -> None:
    def take(data: bytes) -> None:
        raise BrokenPipeError("gone")

    with pytest.raises(BrokenPipeError):
        lab.run("/bin/sh", "-c", "seq 100000", on_output=take)
    assert list(lab.scratch.iterdir()) == []


def test_redirected_stdin_is_an_input(lab: Lab) -> None:
    """Every step reads the file from its start, as it was before the run."""
    stdin = str(lab.root / "in.csv")
    script = "cat; echo more >> in.csv"
    steps = [Step(name=f"s{n}", argv=("/bin/sh", "-c", script), stdin=stdin) for n in range(2)]
    seen = lab.record(*steps, capture="overlay")
    assert [step.tail for step in seen.steps] == [("1",), ("1",)]
    assert got(seen, lab.root / "in.csv").read_first


def test_a_stdin_that_cannot_be_read_is_named(lab: Lab) -> None:
    with pytest.raises(ProjectError) as caught:
        lab.record(Step(name="s", argv=("/bin/cat",), stdin=str(lab.root / "no.csv")))
    assert caught.value.slug == "stdin"
    assert list(lab.scratch.iterdir()) == []


def test_without_stdin_nothing_is_read(lab: Lab) -> None:
    assert lab.sh("cat; echo end").steps[0].tail == ("end",)


def test_open_descriptors_of_the_caller_stay_outside(lab: Lab) -> None:
    read, write = os.pipe()
    os.set_inheritable(read, True)
    os.set_inheritable(write, True)
    try:
        seen = lab.python("import os; print(sorted(os.listdir('/proc/self/fd'))[:4])")
    finally:
        os.close(read)
        os.close(write)
    assert seen.steps[0].tail == ("['0', '1', '2', '3']",)  # 3 is the folder that is listed


def test_connections_are_seen_with_their_program(lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = (
            "import socket\n"
            f"socket.create_connection(('127.0.0.1', {port})).close()\n"
            "s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\n"
            "try: s.connect(('2001:db8::1', 443))\n"
            "except OSError: pass\n"
        )
        seen = lab.python(script)
    found = {(each.family, each.address, each.port) for each in seen.connections}
    assert ("inet", "127.0.0.1", port) in found
    assert ("inet6", "2001:db8::1", 443) in found
    assert {seen.processes[each.process or 0].exe for each in seen.connections} == {PYTHON}


def test_costs_are_measured(lab: Lab) -> None:
    cost = lab.python("x = bytearray(60_000_000); sum(range(2_000_000))").steps[0].cost
    # A child begins as a copy of this process, which other tests may have made large.
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert cost.wall > 0
    assert cost.cpu_user is not None and 0 < cost.cpu_user < 60
    assert cost.peak_memory is not None and 60_000_000 < cost.peak_memory < 600_000_000 + ours


def test_bytes_moved_are_counted_over_all_processes(lab: Lab) -> None:
    seen = lab.sh("head -c 5000000 /dev/zero > big; (cat big big; cat big) | wc -c > n")
    cost = seen.steps[0].cost
    # cat reads 15 MB and hands them to wc: read twice, written once more than 5 MB.
    assert cost.read is not None and 35_000_000 <= cost.read < 36_000_000
    assert cost.written is not None and 20_000_000 <= cost.written < 20_100_000


def test_a_program_that_was_compiled_by_the_run_is_seen(lab: Lab) -> None:
    need("cc")
    seen = lab.sh("echo 'int main(){return 0;}' > p.c; cc -o p p.c; ./p")
    assert seen.processes[-1].exe == "./p" or seen.processes[-1].exe == str(lab.root / "p")
    assert got(seen, lab.root / "p").executed


def test_an_old_script_that_the_run_replaces_names_its_new_interpreter(lab: Lab) -> None:
    script = lab.root / "s"
    script.write_text("#!/bin/cat\n")
    script.chmod(0o755)
    seen = lab.sh("rm s; printf '#!/usr/bin/env sh\\necho new\\n' > s; chmod +x s; ./s")
    assert seen.steps[0].tail == ("new",)
    assert got(seen, "/usr/bin/env").executed
    assert access(seen, "/bin/cat") is None


def test_proc_self_exe_is_the_program_itself(lab: Lab) -> None:
    seen = lab.python("import os; os.execv('/proc/self/exe', ['python3', '-Ic', 'print(1)'])")
    assert [each.exe for each in seen.processes] == [PYTHON, PYTHON]


def test_a_program_started_by_descriptor_is_seen(lab: Lab) -> None:
    script = "import os; os.execve(os.open('/bin/true', os.O_RDONLY), ['true'], {})"
    assert os.path.realpath(lab.python(script).processes[-1].exe) == os.path.realpath("/bin/true")


def test_the_calls_that_change_names(lab: Lab, capture: str) -> None:
    script = (
        "import os\n"
        "os.rename('data/a', 'moved'); os.link('data/b', 'hard'); os.symlink('in.csv', 'soft')\n"
        "os.truncate('in.csv', 0); os.mkdir('n'); os.mkdir('gone'); os.rmdir('gone')\n"
        "os.replace('old.txt', 'n/old.txt')\n"
    )
    seen = lab.python(script, capture=capture)
    assert changes(seen) == {
        "data/a": Change.DELETED, "moved": Change.CREATED, "hard": Change.CREATED,
        "soft": Change.CREATED, "in.csv": Change.CHANGED, "old.txt": Change.DELETED,
        "n/old.txt": Change.CREATED,
    }  # fmt: skip
    for name in ("data/a", "data/b", "old.txt"):
        assert got(seen, lab.root / name).read_first, name
    for name in ("moved", "hard", "soft", "in.csv", "n/old.txt", "data/a", "old.txt"):
        assert got(seen, lab.root / name).written, name
    assert os.readlink(os.path.join(seen.upper, "soft")) == "in.csv"


def test_an_unknown_tracer_or_capture_is_refused(lab: Lab) -> None:
    for wrong in ({"tracer": "magic"}, {"capture": "magic"}):
        with pytest.raises(ProjectError):
            lab.run("/bin/true", **wrong)


def test_without_a_tracer_the_recording_says_so(lab: Lab) -> None:
    seen = lab.sh("cat in.csv > x", tracer="none")
    assert seen.accesses == () and seen.tracer == "none"
    assert any("reads were not observed" in limit for limit in seen.limits)
    assert changes(seen) == {"x": Change.CREATED}


@pytest.mark.parametrize("name", ["a:b", "a,b", "a\\b", "a b\n", "ü" * 100, "a\udcff"])
def test_projects_with_odd_names(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    lab = Lab(folder, {"in": "1"})
    before = tree(lab.root)
    seen = lab.sh("cat in > out")
    assert seen.capture == "overlay"
    assert changes(seen) == {"out": Change.CREATED}
    assert got(seen, lab.root / "in").read_first
    assert tree(lab.root) == before
    lab.close()


def test_two_recordings_say_the_same(lab: Lab) -> None:
    first, second = (lab.sh("cat in.csv > o; ls data") for _ in range(2))
    assert first.accesses == second.accesses
    assert first.changes == second.changes
    assert [each.argv for each in first.processes] == [each.argv for each in second.processes]


def test_a_static_program(lab: Lab) -> None:
    source = '#include <fcntl.h>\nint main(){return open("in.csv",0) < 0;}'
    seen = lab.run(compiled(lab.folder, source, "-static"))
    assert seen.steps[0].exit == 0
    assert got(seen, lab.root / "in.csv").read_first
    assert ENVIRONMENT["PATH"] == "/usr/bin:/bin"
