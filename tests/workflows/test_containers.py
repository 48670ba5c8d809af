"""Kept containers from the command line, in real sandboxes: life, death, changes, new versions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.workflows.lab import Lab, need_an_engine

RUN = "mkdir -p out\ncat in.txt d/* > out/r.txt\necho working\n"
NAP = str(200_000_000 + os.getpid())  # seconds; no other process sleeps as long


class Box:
    """One archive, and containers of it in a cache of their own."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.cache = Path(lab.env["REPRO_CACHE"])
        self.shelf = self.cache / "containers"

    def do(self, *words: str, status: int = 0) -> str:
        return self.lab.repro("container", *words, status=status).stdout

    def refused(self, *words: str, status: int = 2) -> str:
        return self.lab.repro("container", *words, status=status).stderr

    def create(self, name: str = "one", *words: str) -> None:
        self.do("create", f"{self.lab.archive}:v1", "--name", name, *words)

    def sh(self, script: str, status: int = 0, name: str = "one") -> str:
        return self.do("exec", "-q", name, "--", "sh", "-c", script, status=status)

    def nap(self, name: str = "one", script: str = "") -> None:
        self.do("start", "-q", name, "--", "sh", "-c", f"{script} sleep {NAP}; :")

    def row(self, name: str = "one") -> dict[str, Any]:
        listed = json.loads(self.do("ls", "--json"))["containers"]
        found: dict[str, Any] = next(row for row in listed if row["name"] == name)
        return found

    def diff(self, name: str = "one") -> list[str]:
        """Paths relative to the project where they lie in it."""
        found = json.loads(self.do("diff", "--json", "-q", name))["changes"]
        root = f"{self.lab.project.resolve()}/"
        return [f"{each['kind']} {each['path'].removeprefix(root)}" for each in found]

    def holder(self, name: str = "one") -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.shelf / name / "holder.json").read_text())
        return found


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    need_an_engine()
    lab = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("cache"))
    lab.write("run.sh", RUN)
    lab.write("in.txt", "hello\n")
    lab.write("d/a", "1\n")
    lab.write("d/b", "2\n")
    lab.snapshot("--tag", "v1", "--", "sh", "run.sh")
    return lab


@pytest.fixture
def box(archive: Lab) -> Iterator[Box]:
    made = Box(archive)
    yield made
    for name in [p.name for p in made.shelf.glob("*")] if made.shelf.is_dir() else []:
        made.do("rm", "--force", name)
    assert not sleeping()


def sleeping() -> list[str]:
    listed = subprocess.run(["ps", "-e", "-o", "pid,args"], capture_output=True, text=True)
    # The program itself: our own command lines name it as well.
    return [line for line in listed.stdout.splitlines() if line.split(None, 1)[1] == f"sleep {NAP}"]


def until(true: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_recorded_steps_in_the_background(box: Box) -> None:
    box.create()
    assert box.row()["state"] == "created"
    assert box.do("start", "-q", "one") == "one\n"
    until(lambda: box.row()["state"] == "exited")
    run = box.row()["run"]
    assert (run["exit"], run["command"], run["error"]) == (0, None, None)
    assert box.do("logs", "one") == "working\n"
    assert "A out/r.txt" in box.diff()
    assert box.sh("cat out/r.txt") == "hello\n1\n2\n"


def test_attached_it_shows_output_and_status(box: Box) -> None:
    box.create()
    assert box.do("start", "-q", "-a", "one", "--", "sh", "-c", "echo x; exit 7", status=7) == "x\n"
    assert box.do("start", "-q", "-a", "one", "--", "echo", "y") == "y\n"
    assert box.do("logs", "one") == "x\ny\n"
    assert box.do("logs", "-n", "1", "one") == "y\n"
    refused = box.refused("start", "-q", "-a", "one", "--", "no-such-program", status=5)
    assert "no-such-program" in refused


@pytest.mark.parametrize("words", [["no-such-program", "x"], ["/project-not-there/a"]])
def test_a_start_that_finds_no_program_is_an_error(box: Box, words: list[str]) -> None:
    box.create()
    refused = box.refused("start", "one", "--", *words, status=5)
    assert "error[rerun-command]" in refused and words[0] in refused
    row = box.row()
    assert row["state"] == "exited" and words[0] in row["run"]["error"]
    assert box.do("start", "-q", "one", "--", "true") == "one\n", "short as it is, it has run"
    until(lambda: box.row()["state"] == "exited")
    assert box.row()["run"]["exit"] == 0


def test_interrupted_while_attached_nothing_is_left(box: Box) -> None:
    box.create()
    with subprocess.Popen(
        [sys.executable, "-m", "repro", "container", "start", "-a", "one", "--", "sleep", NAP],
        env=box.lab.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as started:  # fmt: skip
        until(sleeping)
        started.send_signal(signal.SIGINT)
        assert started.wait(20) == 130
    assert not sleeping() and box.row()["state"] == "exited"


def test_exec_joins_what_runs(box: Box) -> None:
    box.create()
    box.nap(script="echo $$ > /dev/shm/first;")
    assert box.sh("cat /dev/shm/first; kill -0 $(cat /dev/shm/first) && echo seen") == "2\nseen\n"
    assert box.sh("echo from-exec > new; exit 3", status=3) == ""
    assert box.diff() == ["A new"]
    assert "cannot be started" in box.refused("exec", "one", "--", "no-such", status=5)
    box.do("stop", "--time", "5", "one")
    assert box.sh("cat new; ls /dev/shm") == "from-exec\n", "the layer stays, the sandbox does not"


def test_stdin_and_folder_of_exec(box: Box) -> None:
    box.create()
    command = [sys.executable, "-m", "repro", "container", "exec", "-q", "-i", "-w", "/", "one",
               "--", "sh", "-c", "pwd; cat"]  # fmt: skip
    for _ in ("stopped", "running"):
        done = subprocess.run(command, env=box.lab.env, input=b"typed", capture_output=True)
        assert (done.returncode, done.stdout) == (0, b"/\ntyped"), done.stderr
        if not sleeping():
            box.nap()


def test_a_second_start_is_refused(box: Box) -> None:
    box.create()
    box.nap()
    said = box.refused("start", "one")
    assert "running already" in said and "hint: repro container exec one" in said
    assert "in use" in box.refused("commit", "one", "-t", "x")
    assert box.row()["state"] == "running"


def test_stop_asks_first_and_no_further_step_begins(box: Box) -> None:
    box.create()
    box.nap(script='trap "echo asked; exit 0" TERM; echo ready;')
    until(lambda: "ready" in box.do("logs", "one"))
    # The shell sees the signal when its child has ended: without a child it is at once.
    started = time.monotonic()
    box.do("stop", "--time", "1", "one")
    assert time.monotonic() - started < 10
    assert box.row()["run"]["exit"] == 137, "killed: it did not end in time"
    script = 'trap "echo asked; exit 0" TERM; echo again; while :; do sleep 0.05; done'
    box.do("start", "-q", "one", "--", "sh", "-c", script)
    until(lambda: "again" in box.do("logs", "one"))
    box.do("stop", "one")
    assert box.do("logs", "-n", "1", "one") == "asked\n"
    assert (box.row()["state"], box.row()["run"]["exit"]) == ("exited", 0)
    assert "was not running" in box.lab.repro("container", "stop", "one").stderr


def test_a_killed_watcher_takes_everything_along(box: Box) -> None:
    box.create()
    box.nap(script="echo kept > kept;")
    until(lambda: box.diff() == ["A kept"])
    with subprocess.Popen(
        [sys.executable, "-m", "repro", "container", "exec", "-q", "one", "--", "sleep", NAP],
        env=box.lab.env,
    ) as joined:
        until(lambda: len(sleeping()) == 2)
        os.kill(box.holder()["watcher"]["pid"], signal.SIGKILL)
        assert joined.wait(10) == 137
    until(lambda: not sleeping(), 5)
    assert box.row()["state"] == "killed"
    assert "killed" in box.do("ls")
    assert box.sh("cat kept") == "kept\n"
    box.nap()
    assert box.row()["state"] == "running"


def test_after_a_restart_of_the_machine(box: Box) -> None:
    """What the disk holds then: a holder of another boot, layers of another boot."""
    box.create()
    box.nap(script="echo kept > kept;")
    until(lambda: box.diff() == ["A kept"])
    holder = box.holder()
    box.do("stop", "--time", "0", "one")
    for process in (holder["watcher"], holder["init"]):
        # The numbers now belong to somebody else who must not be touched.
        process.update(pid=os.getpid(), boot="11111111-2222-3333-4444-555555555555")
    folder = box.shelf / "one"
    (folder / "holder.json").write_text(json.dumps(holder))
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**run, "ended": None, "exit": None}))
    for marker in (box.cache / "layers").glob("*.ok"):
        marker.write_text("11111111-2222-3333-4444-555555555555")
    assert box.row()["state"] == "killed"
    assert box.do("stop", "one") == "one\n"
    assert box.sh("cat kept") == "kept\n"
    box.nap()
    assert box.row()["state"] == "running"


def test_what_changed(box: Box) -> None:
    box.create()
    box.sh(
        "echo new > new; mkdir -p e/f; echo x > in.txt; rm d/a; mv run.sh renamed.sh;"
        "touch d/b; chmod +x d/b; chmod -x d/b; ln -s d link"
    )
    assert box.diff() == ["D d/a", "A e", "A e/f", "C in.txt", "A link", "A new",
                          "A renamed.sh", "D run.sh"]  # fmt: skip
    box.sh("rm -r d; mkdir d; echo 2 > d/b; echo 3 > d/c; rm new; mv renamed.sh run.sh")
    assert box.diff() == ["D d/a", "A d/c", "A e", "A e/f", "C in.txt", "A link"]
    box.nap()
    assert len(box.diff()) == 6, "of a running one as well"


def test_a_new_version_of_the_archive(box: Box, tmp_path: Path) -> None:
    box.create()
    box.do("start", "-q", "-a", "one")
    box.sh("rm d/a; echo 1 > d/c; mkfifo pipe; echo t > /tmp/t; rm -r d/none 2>/dev/null; :")
    made = json.loads(box.do("commit", "-q", "--json", "one", "-t", "v2"))
    left = {each["path"].rpartition("/")[2]: each["reason"] for each in made["left_out"]}
    assert "recorded result" in left.pop("r.txt") and set(left) == {"pipe", "t"}
    # The folder out is new, d/c is new, d/a is gone: 2 then 1, the same text.
    assert made["changes"] == {"A": 2, "C": 0, "D": 1}
    assert made["self_test"]["outcome"] == "different"

    inspected = box.lab.inspect()
    assert [each["tag"] for each in inspected["versions"]] == ["v1", "v2"]
    assert inspected["archive"]["digest"] == made["digest"]
    assert any("those of v1" in line for line in inspected["warnings"])
    assert inspected["self_test"]["outcome"] == "different"
    box.lab.repro("verify", "-q", str(box.lab.archive), status=1)
    assert box.lab.repro("verify", "-q", f"{box.lab.archive}:v1").returncode == 0

    target = tmp_path / "files"
    box.lab.repro("extract", f"{box.lab.archive}:v2", str(target))
    assert sorted(os.listdir(target / "d")) == ["b", "c"]
    changed = json.loads(
        box.lab.repro(
            "diff", "--json", f"{box.lab.archive}:v1", f"{box.lab.archive}:v2"
        ).stdout
    )["changes"]["files"]  # fmt: skip
    assert [each["path"].rpartition("/")[2] for each in changed["removed"]] == ["a"]
    assert [each["path"].rpartition("/")[2] for each in changed["added"]] == ["c"]

    box.do("create", f"{box.lab.archive}:v2", "--name", "two")
    assert box.diff("two") == []
    assert box.sh("cat d/*", name="two") == "2\n1\n"
    assert "nothing" in box.refused("commit", "two", "-t", "v3")
    assert "v2 already" in box.refused("commit", "one", "-t", "v2")
    checked = json.loads(box.lab.repro("cache", "check", "--json").stdout)
    assert checked["damaged"] == [] and checked["good"] >= 4
    box.lab.repro("prune", str(box.lab.archive), "v2")


def test_a_version_that_still_gives_the_results(box: Box, tmp_path: Path) -> None:
    box.create()
    box.sh("echo note > README")
    other = tmp_path / "other.repro"
    made = json.loads(box.do("commit", "--json", "-q", "one", "-t", "doc", "-o", str(other)))
    assert made["self_test"]["outcome"] == "identical"
    verified = json.loads(box.lab.repro("verify", "--json", str(other)).stdout)
    assert [each["verdict"] for each in verified["outputs"]] == ["identical"]


def test_what_a_container_installed_is_in_the_lock(box: Box, tmp_path: Path) -> None:
    box.create()
    box.sh(
        "mkdir -p lib/tiny-2.0.dist-info; printf 'Name: tiny\\nVersion: 2.0\\n' > "
        "lib/tiny-2.0.dist-info/METADATA; echo tiny.py,, > lib/tiny-2.0.dist-info/RECORD"
    )
    other = tmp_path / "other.repro"
    box.do("commit", "-q", "one", "-t", "more", "-o", str(other))
    shown = box.lab.repro("inspect", "--pins", str(other)).stdout
    assert "hash only  pkg:pypi/tiny@2.0" in shown
    assert "container layer: 1 packages brought" in shown
    bill = json.loads(box.lab.repro("inspect", "--sbom", str(other)).stdout)
    assert "pkg:pypi/tiny@2.0" in [each.get("purl") for each in bill["components"]]
    box.lab.repro("verify", "-q", str(other))


def test_a_version_that_does_not_run_is_not_written(box: Box, tmp_path: Path) -> None:
    box.create()
    box.sh("echo exit 4 > run.sh")
    other = tmp_path / "other.repro"
    said = box.refused("commit", "one", "-t", "x", "-o", str(other), status=5)
    assert "--no-self-test" in said and not other.exists()
    box.do("commit", "-q", "one", "-t", "x", "-o", str(other), "--no-self-test")
    box.lab.repro("verify", "-q", str(other), status=5)


def test_no_secret_gets_into_a_version(box: Box, tmp_path: Path) -> None:
    box.create()
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    box.sh(f"echo token={token} > conf.txt")
    other = tmp_path / "other.repro"
    said = box.refused("commit", "one", "-t", "x", "-o", str(other), status=3)
    assert "conf.txt" in said and token not in said and not other.exists()


def test_two_containers_share_their_layers(box: Box) -> None:
    box.create("one")
    before = sorted(each.name for each in (box.cache / "layers").iterdir() if each.is_dir())
    box.create("two")
    assert sorted(p.name for p in (box.cache / "layers").iterdir() if p.is_dir()) == before
    box.sh("echo 1 > mine")
    assert box.diff("two") == []
    box.lab.repro("cache", "gc", "--keep", "0B")
    assert set(before) >= (kept := layers_of(box)) and len(kept) >= 2
    box.do("rm", "one")
    box.lab.repro("cache", "gc", "--keep", "0B")
    assert layers_of(box) == kept
    box.do("rm", "two")
    box.lab.repro("cache", "gc", "--keep", "0B")
    assert layers_of(box) == set()


def layers_of(box: Box) -> set[str]:
    return {each.name for each in (box.cache / "layers").iterdir() if each.is_dir()}


def test_the_archive_may_be_gone(box: Box) -> None:
    copy = box.lab.folder / "copy.repro"
    copy.write_bytes(box.lab.archive.read_bytes())
    box.do("create", str(copy), "--name", "one")
    copy.unlink()
    assert box.sh("cat in.txt") == "hello\n"
    (box.shelf / "one" / "archive").unlink()
    said = box.refused("exec", "one", "--", "true", status=3)
    assert "does not hold the version" in said and "sha256:" in said
    copy.write_bytes(box.lab.archive.read_bytes())
    assert box.sh("cat in.txt") == "hello\n"
    copy.unlink()


def test_removed_while_it_runs(box: Box) -> None:
    box.create()
    box.nap()
    assert "--force" in box.refused("rm", "one")
    assert sleeping()
    box.do("rm", "--force", "one")
    until(lambda: not sleeping(), 5)
    assert os.listdir(box.shelf) == []
    assert "no container one" in box.refused("logs", "one")


def test_limits_hold_for_run_and_exec(box: Box) -> None:
    box.create("one", "--memory", "150M", "--pids", "50", "--disk", "50M")
    hog = "x=a; while :; do x=$x$x; done"
    box.do("start", "-q", "-a", "one", "--", "sh", "-c", hog, status=137)
    assert box.row()["run"]["reached"] == "memory"
    assert box.row()["limits"]["memory"] == 150_000_000
    box.nap()
    assert box.do("exec", "-q", "one", "--", "sh", "-c", hog, status=137) == ""


def test_names_and_doubles(box: Box) -> None:
    for name in ("../x", "a/b", ".x", ""):
        assert "no name" in box.refused("create", str(box.lab.archive), "--name", name)
    box.create()
    assert "already" in box.refused("create", str(box.lab.archive), "--name", "one")
    assert "no container" in box.refused("start", "missing")
    assert "say what to run" in box.refused("exec", "one")


def test_a_damaged_state_hides_no_other(box: Box) -> None:
    box.create("one")
    box.create("two")
    (box.shelf / "one" / "state.json").write_text("{")
    assert [(each, box.row(each)["state"]) for each in ("one", "two")] == [
        ("one", "damaged"), ("two", "created"),
    ]  # fmt: skip
    assert "damaged" in box.do("ls")
    assert "rm --force one" in box.refused("start", "one", status=3)


def test_the_log_does_nothing_to_a_terminal() -> None:
    from repro.cli.container_lines import log_text

    assert log_text(b"a\tb\r\n\x1b[2Jx\xff\n") == "a\tb\r\n\\x1b[2Jx\ufffd\n".encode()
    long = "y" * 5000
    assert log_text(f"{long}\n".encode()) == f"{long}\n".encode()
