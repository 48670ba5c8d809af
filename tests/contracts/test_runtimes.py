"""Every engine that works here, through the same cases."""

from __future__ import annotations

import fcntl
import mmap
import os
import pty
import re
import termios
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from repro.errors import RerunFailed, RuntimeUnavailable, UsageError
from repro.model.ports import SandboxResult
from repro.runtime.base import Runtime
from tests.contracts.runtime_box import ENVIRONMENT, NAP, Box, living
from tests.other_user import as_user, given


def tree(folder: Path) -> Mapping[str, int]:
    return {str(path.relative_to(folder)): path.lstat().st_mtime_ns for path in folder.rglob("*")}


def test_status_and_streams(box: Box) -> None:
    result = box.sh("echo out; echo err >&2; exit 7")
    assert (result.exit, result.timed_out) == (7, False)
    assert box.said() == "out\n"
    assert box.err.read_text() == "err\n"
    assert result.cost.wall > 0
    assert result.cost.peak_memory or not box.engine.measures_all


def test_bytes_moved_are_counted_where_an_engine_can(box: Box) -> None:
    cost = box.sh("dd if=/dev/zero of=out bs=1M count=5 2>/dev/null; cat out | cat > again").cost
    if cost.read is None and box.engine.name != "bubblewrap":
        return
    assert cost.read is not None and 15 << 20 <= cost.read < 16 << 20
    assert cost.written is not None and 15 << 20 <= cost.written < 16 << 20


def test_signal(box: Box) -> None:
    assert box.sh("kill -9 $$").exit == 137


def test_exact_environment(box: Box) -> None:
    box.run("/usr/bin/env")
    found = dict(line.split("=", 1) for line in box.said().splitlines())
    found.pop("PWD", None)
    added = box.engine.adds - ENVIRONMENT.keys()
    assert {name: value for name, value in found.items() if name not in added} == ENVIRONMENT


def test_what_is_recorded_stands_before_what_an_engine_adds(box: Box) -> None:
    recorded = {**ENVIRONMENT, "HOSTNAME": "x", "TERM": "y", "container": "z"}
    box.run("/usr/bin/env", environment=recorded)
    found = dict(line.split("=", 1) for line in box.said().splitlines())
    assert {name: found[name] for name in recorded} == recorded


def test_writes_go_to_the_upper_folder_alone(box: Box, layer: Path) -> None:
    before = tree(layer)
    new = "/new/a" if box.engine.writes_root else "/home/new/a"
    script = f"echo x > result; echo y > /etc/passwd; rm /bin/ls; mkdir -p {new}; ln -s x {new}/b"
    assert box.sh(f"{script}; echo z > {new}/c").exit == 0
    assert os.readlink(f"{box.upper}{new}/b") == "x"
    assert Path(f"{box.upper}{new}/c").read_text() == "z\n"
    assert box.sh(f"test -d {new} && test ! -e /bin/ls && cat {new}/c").exit == 0
    assert box.said() == "z\n"
    assert (box.upper / "project/result").read_text() == "x\n"
    assert tree(layer) == before


def test_steps_share_the_writable_layer(box: Box) -> None:
    box.sh("echo x > /tmp/a; echo y > b")
    assert box.sh("cat /tmp/a b").exit == 0
    assert box.said() == "x\ny\n"


def test_layers_in_order(box: Box, layer: Path, folder: Path) -> None:
    layers = []
    for name in ("one", "two"):
        (folder / name / "project").mkdir(parents=True)
        (folder / name / "project/which").write_text(name)
        layers.append(folder / name)
    box.layers = [layer, *layers]
    box.sh("cat which")
    assert box.said() == "two"


def test_odd_folder_names(engine: Runtime, layer: Path, folder: Path, user: int | None) -> None:
    odd = folder / "a:b,c\\d e"
    odd.mkdir()
    (odd / "layer/project").mkdir(parents=True)
    (odd / "layer/project/f").write_text("odd")
    box = Box(engine, [layer, odd / "layer"], odd, user)
    assert box.sh("cat f; echo z > g").exit == 0
    assert box.said() == "odd"


def test_time_limit_kills_everything(box: Box) -> None:
    result = box.sh(f"sleep {NAP} & sleep {NAP}", timeout=0.3)
    assert result.timed_out
    assert result.exit == 137
    assert not living()


def test_no_process_outlives_it(box: Box) -> None:
    assert box.sh(f"(sleep {NAP} &) ; sleep {NAP} & exit 0").exit == 0
    assert not living()


def test_a_missing_program_is_named(box: Box) -> None:
    with pytest.raises(RerunFailed) as caught:
        box.run("/no/such/program")
    assert "/no/such/program" in caught.value.message


def test_a_missing_folder_is_named(box: Box) -> None:
    with pytest.raises(RerunFailed) as caught:
        box.run("/bin/sh", cwd="/nowhere")
    assert "/nowhere" in caught.value.message


def test_links_of_the_image_do_not_steer_the_launcher(box: Box, folder: Path) -> None:
    outside = folder / "outside"
    outside.mkdir(mode=0o777)
    outside.chmod(0o777)
    hostile = folder / "hostile"
    hostile.mkdir()
    for name in ("proc", "dev", "tmp", "etc", "run", "sys"):
        (hostile / name).symlink_to(f"/oldroot{outside}")
    box.layers = [*box.layers, hostile]
    assert box.sh("echo x > /tmp/f; id >/dev/null; cat /proc/self/status >/dev/null").exit == 0
    assert list(outside.iterdir()) == []


def test_a_step_cannot_steer_the_next(box: Box) -> None:
    (box.upper / "proc").symlink_to("/etc")
    with pytest.raises(RerunFailed):
        box.sh("true")


HOSTILE_WORDS = "x\0--bind\0/\0/project"


@pytest.mark.parametrize(
    "changes",
    [
        {"environment": {**ENVIRONMENT, "A": HOSTILE_WORDS}},
        {"environment": {**ENVIRONMENT, f"A{HOSTILE_WORDS}\0--setenv\0B": "c"}},
        {"environment": {**ENVIRONMENT, "A=B": "c"}},
        {"environment": {**ENVIRONMENT, "": "c"}},
        {"environment": {**ENVIRONMENT, "A": "\ud800"}},
        {"cwd": HOSTILE_WORDS.replace("x", "/project", 1)},
        {"cwd": "project"},
        {"argv": ["/bin/sh", HOSTILE_WORDS]},
        {"argv": []},
        {"argv": [""]},
    ],
)
def test_no_recorded_word_becomes_an_option(box: Box, changes: Mapping[str, object]) -> None:
    with pytest.raises(RerunFailed) as caught:
        box.sh("ls /project", **changes)
    assert caught.value.slug == "rerun-command"
    assert "\0" not in caught.value.message
    assert box.said() == ""
    assert not list(box.upper.iterdir())


@pytest.mark.parametrize("odd", ["", "\udcff"], ids=["text", "bytes"])
def test_options_as_words_stay_words(box: Box, odd: str) -> None:
    words = ["--bind", "--", "a b", "'", "\n", "é", odd, "--ro-bind", "", "$A", "{{.}}", "\x1b["]
    environment = {**ENVIRONMENT, "B": "--bind", "C": f"{odd}\n", "D": ""}
    script = 'printf "%s|" "$B" "$C" "$@"'
    if odd and not box.engine.any_bytes:
        with pytest.raises(RuntimeUnavailable) as caught:
            box.run("/bin/sh", "-c", script, "--", *words, environment=environment)
        assert "UTF-8" in caught.value.message
        assert box.said() == ""
        return
    box.run("/bin/sh", "-c", script, "--", *words, environment=environment)
    expected = "|".join(["--bind", f"{odd}\n", *words, ""])
    assert box.out.read_bytes() == os.fsencode(expected)


def test_many_variables(box: Box) -> None:
    environment = {**ENVIRONMENT, **{f"V{number}": "x" * 100 for number in range(1500)}}
    box.run("/usr/bin/env", environment=environment)
    assert len(box.said().splitlines()) >= 1502


def through_a_pipe(box: Box, *argv: str, **changes: object) -> SandboxResult:
    """stdout and stderr are pipes, as when the run's output goes to another program."""
    read, write = os.pipe()
    try:
        request = box.request(write, write, *argv, **changes)
        return as_user(box.user, lambda: box.engine.run(request))
    finally:
        os.close(write)
        box.out.write_bytes(os.read(read, 65536))
        os.close(read)


@pytest.mark.parametrize("start", [Box.run, through_a_pipe])
def test_a_failed_set_up_is_never_a_result(box: Box, start: Callable[..., SandboxResult]) -> None:
    with pytest.raises(RuntimeUnavailable) as caught:
        start(box, "/bin/sh", "-c", "exit 1", layers=[str(box.folder / "no-such-layer")])
    assert "no-such-layer" in str(caught.value.details)


@pytest.mark.parametrize("start", [Box.run, through_a_pipe])
@pytest.mark.parametrize("program", ["no-such-program", "/etc", "/no/such/program"])
def test_a_program_that_cannot_start(
    box: Box, start: Callable[..., SandboxResult], program: str
) -> None:
    with pytest.raises(RerunFailed) as caught:
        start(box, program)
    assert program in caught.value.message
    with pytest.raises(RerunFailed) as caught:
        start(box, "/bin/sh", cwd="/no/such/folder")
    assert "/no/such/folder" in caught.value.message


def test_the_launchers_words_can_be_said_by_a_run(box: Box) -> None:
    said = "bwrap: execvp /bin/sh: No such file or directory"
    assert box.sh(f"echo {said!r} >&2; exit 1").exit == 1
    assert through_a_pipe(box, "/bin/sh", "-c", f"echo {said!r} >&2; exit 1").exit == 1


@pytest.mark.parametrize("timeout", [1e10, float("inf"), 600.5])
def test_long_time_limits(box: Box, timeout: float) -> None:
    assert box.sh("exit 4", timeout=timeout).exit == 4


@pytest.mark.parametrize("number", [1, 2, 6, 11, 15])
def test_every_signal_has_its_status(box: Box, number: int) -> None:
    assert box.sh(f"kill -{number} $$").exit == 128 + number


def test_stdin(box: Box) -> None:
    given_in = box.folder / "in"
    given_in.write_text("typed\n")
    with given_in.open() as stream:
        assert box.run("/bin/cat", stdin=stream.fileno()).exit == 0
    assert box.said() == "typed\n"
    box.run("/bin/cat")
    assert box.said() == "typed\n"


def test_a_layer_behind_a_link(box: Box, layer: Path) -> None:
    link = box.folder / "link"
    link.symlink_to(layer)
    assert box.sh("exit 0", layers=[str(link)]).exit == 0


def test_a_list_of_layers_that_is_too_long_is_said(box: Box, layer: Path) -> None:
    if box.engine.name == "docker":
        pytest.skip("dockerd has a limit of its own, 127 layers, and says so itself")
    """One layer after the other, until the engine refuses: the kernel took all before."""
    more: list[Path] = []
    with pytest.raises(RuntimeUnavailable) as caught:
        while len(more) < 490:
            more.append(given_layer(box, f"layer-{len(more):03d}-{'x' * 60}"))
            if len(more) > 20:
                box.layers = [layer, *more]
                assert box.sh("exit 0").exit == 0
    assert str(len(more) + 1) in caught.value.message
    assert "REPRO_CACHE" in (caught.value.hint or "")
    length, limit = map(int, re.findall(r"(\d+) bytes of (\d+)", caught.value.message)[0])
    assert limit == mmap.PAGESIZE
    assert limit < length < limit + len(f"/oldroot{more[0]}") + 5


def test_no_controlling_terminal_reaches_inside(box: Box) -> None:
    """As an interactive run has it: typed lines could be put into it, and read from it."""

    def work() -> int:
        os.setsid()
        _, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        with open("/dev/tty", "rb"):
            pass  # the engine's own process has one
        return box.sh("(exec 3< /dev/tty) || exit 9", stdin=slave, timeout=60).exit

    user, box.user = box.user, None
    assert as_user(os.getuid() if user is None else user, work) == 9
    assert "No such device" in box.err.read_text()


def test_nothing_is_left_in_the_folder(box: Box) -> None:
    box.sh("true")
    assert {path.name for path in box.folder.iterdir()} == {"upper", "work", "out", "err"}


def test_the_open_network_is_the_hosts(box: Box) -> None:
    box.sh("cat /etc/resolv.conf", network="host")
    assert box.said() == Path("/etc/resolv.conf").read_text()
    box.out.write_text("")
    box.sh("cat /etc/resolv.conf")
    assert box.said() == ""
    with pytest.raises(UsageError):
        box.sh("true", network="bridge")


def test_what_the_image_says_of_users_is_hidden(box: Box) -> None:
    image = given_layer(box, "image")
    (image / "etc").mkdir()
    (image / "etc/passwd").write_text("root:x:1000:1000::/:/bin/sh\n")
    given(image, box.user)
    box.layers = [*box.layers, image]
    box.sh("id -un; cat /etc/passwd")
    assert box.said().splitlines()[0] == "repro"
    assert "root:x:1000" not in box.said()


def given_layer(box: Box, name: str) -> Path:
    made = box.folder / name
    made.mkdir()
    return made


def test_the_seal_names_every_property(engine: Runtime) -> None:
    for network in ("none", "host"):
        seal = engine.seal(network)
        named = {**seal.enforced, **seal.not_enforced}
        assert {"network", "filesystem", "pids", "ipc", "users", "devices", "cpu", "memory",
                "uts", "cgroup", "syscalls", "environment", "host facts",
                "pids limit", "disk", "time"} <= named.keys()  # fmt: skip
        assert not seal.enforced.keys() & seal.not_enforced.keys()
        assert all(named.values())
        assert seal.engine == engine.name
    assert "network" in engine.seal("host").not_enforced
