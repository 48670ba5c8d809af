"""Every engine that works here, through the same cases."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from repro.errors import RerunFailed
from repro.model.ports import SandboxRequest, SandboxResult
from repro.runtime.base import Runtime
from repro.runtime.choose import all_engines
from tests.rootfs import small_root

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/home/a", "A": "b c"}


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_root(tmp_path_factory.mktemp("root"))


@pytest.fixture(params=[engine.name for engine in all_engines()])
def engine(request: pytest.FixtureRequest) -> Runtime:
    found = next(engine for engine in all_engines() if engine.name == request.param)
    reason = found.usable()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(f"{found.name}: {reason}")
        pytest.skip(reason)
    return found


class Box:
    def __init__(self, engine: Runtime, layers: list[Path], folder: Path) -> None:
        self.engine, self.layers, self.folder = engine, layers, folder
        self.upper, self.work = folder / "upper", folder / "work"
        self.upper.mkdir()
        self.work.mkdir()
        self.out, self.err = folder / "out", folder / "err"

    def request(self, out: int, err: int, *argv: str, **changes: object) -> SandboxRequest:
        settings: dict[str, object] = {
            "layers": [str(layer) for layer in self.layers], "upper": str(self.upper),
            "work": str(self.work), "argv": argv, "environment": ENVIRONMENT,
            "cwd": "/project", "stdout": out, "stderr": err, **changes,
        }  # fmt: skip
        return SandboxRequest(**settings)  # type: ignore[arg-type]

    def run(self, *argv: str, **changes: object) -> SandboxResult:
        with self.out.open("ab") as out, self.err.open("ab") as err:
            return self.engine.run(self.request(out.fileno(), err.fileno(), *argv, **changes))

    def sh(self, script: str, **changes: object) -> SandboxResult:
        return self.run("/bin/sh", "-c", script, **changes)

    def said(self) -> str:
        return self.out.read_text()


@pytest.fixture
def box(engine: Runtime, layer: Path, tmp_path: Path) -> Box:
    return Box(engine, [layer], tmp_path)


def tree(folder: Path) -> Mapping[str, int]:
    return {str(path.relative_to(folder)): path.lstat().st_mtime_ns for path in folder.rglob("*")}


def test_status_and_streams(box: Box) -> None:
    result = box.sh("echo out; echo err >&2; exit 7")
    assert (result.exit, result.timed_out) == (7, False)
    assert box.said() == "out\n"
    assert box.err.read_text() == "err\n"
    assert result.cost.wall > 0
    assert result.cost.peak_memory


def test_signal(box: Box) -> None:
    assert box.sh("kill -9 $$").exit == 137


def test_exact_environment(box: Box) -> None:
    box.run("/usr/bin/env")
    found = dict(line.split("=", 1) for line in box.said().splitlines())
    found.pop("PWD", None)
    assert found == ENVIRONMENT


def test_writes_go_to_the_upper_folder_alone(box: Box, layer: Path) -> None:
    before = tree(layer)
    assert box.sh("echo x > result; echo y > /etc/passwd; rm /bin/ls; mkdir -p /new/a").exit == 0
    assert (box.upper / "project/result").read_text() == "x\n"
    assert tree(layer) == before


def test_steps_share_the_writable_layer(box: Box) -> None:
    box.sh("echo x > /tmp/a; echo y > b")
    assert box.sh("cat /tmp/a b").exit == 0
    assert box.said() == "x\ny\n"


def test_layers_in_order(engine: Runtime, layer: Path, tmp_path: Path) -> None:
    layers = []
    for name in ("one", "two"):
        folder = tmp_path / name
        (folder / "project").mkdir(parents=True)
        (folder / "project/which").write_text(name)
        layers.append(folder)
    box = Box(engine, [layer, *layers], tmp_path)
    box.sh("cat which")
    assert box.said() == "two"


def test_odd_folder_names(engine: Runtime, layer: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a:b,c\\d e"
    odd.mkdir()
    (odd / "layer/project").mkdir(parents=True)
    (odd / "layer/project/f").write_text("odd")
    box = Box(engine, [layer, odd / "layer"], odd)
    assert box.sh("cat f; echo z > g").exit == 0
    assert box.said() == "odd"


def test_time_limit_kills_everything(box: Box) -> None:
    started = time.monotonic()
    result = box.sh("sleep 987 & sleep 987", timeout=0.3)
    assert result.timed_out
    assert result.exit == 137
    assert time.monotonic() - started < 20
    assert "sleep 987" not in subprocess.run(["ps", "ax"], capture_output=True, text=True).stdout


def test_no_process_outlives_it(box: Box) -> None:
    assert box.sh("(sleep 986 &) ; sleep 986 & exit 0").exit == 0
    assert "sleep 986" not in subprocess.run(["ps", "ax"], capture_output=True, text=True).stdout


def test_a_missing_program_is_named(box: Box) -> None:
    with pytest.raises(RerunFailed) as caught:
        box.run("/no/such/program")
    assert "/no/such/program" in caught.value.message


def test_a_missing_folder_is_named(box: Box) -> None:
    with pytest.raises(RerunFailed) as caught:
        box.run("/bin/sh", cwd="/nowhere")
    assert "/nowhere" in caught.value.message


def test_links_of_the_image_do_not_steer_the_launcher(
    engine: Runtime, layer: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    for name in ("proc", "dev", "tmp", "etc", "run", "sys"):
        (hostile / name).symlink_to(f"/oldroot{outside}")
    box = Box(engine, [layer, hostile], tmp_path)
    assert box.sh("echo x > /tmp/f; id >/dev/null; cat /proc/self/status >/dev/null").exit == 0
    assert list(outside.iterdir()) == []


def test_a_step_cannot_steer_the_next(box: Box, tmp_path: Path) -> None:
    (box.upper / "proc").symlink_to("/etc")
    with pytest.raises(RerunFailed):
        box.sh("true")


def test_an_interruption_leaves_no_process(box: Box) -> None:
    script = (
        "import sys, threading, os, signal\n"
        "from repro.model.ports import SandboxRequest\n"
        "from repro.runtime.choose import choose\n"
        "threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n"
        f"choose({box.engine.name!r}).run(SandboxRequest(layers={[str(p) for p in box.layers]!r},"
        f" upper={str(box.upper)!r}, work={str(box.work)!r}, argv=['/bin/sleep', '985'],"
        f" environment={ENVIRONMENT!r}, cwd='/project', stdout=2, stderr=2))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=30,
        preexec_fn=lambda: __import__("signal").signal(2, __import__("signal").default_int_handler),
    )  # fmt: skip
    assert done.returncode != 0
    assert b"KeyboardInterrupt" in done.stderr
    assert "sleep 985" not in subprocess.run(["ps", "ax"], capture_output=True, text=True).stdout


def test_several_at_once(engine: Runtime, layer: Path, tmp_path: Path) -> None:
    boxes = []
    for number in range(4):
        folder = tmp_path / str(number)
        folder.mkdir()
        boxes.append(Box(engine, [layer], folder))
    threads = [
        threading.Thread(target=box.sh, args=(f"echo {number}",))
        for number, box in enumerate(boxes)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [box.said() for box in boxes] == [f"{number}\n" for number in range(4)]


def test_the_seal_names_every_property(engine: Runtime) -> None:
    for network in ("none", "host"):
        seal = engine.seal(network)
        named = {**seal.enforced, **seal.not_enforced}
        assert {"network", "filesystem", "pids", "ipc", "users", "devices", "cpu", "memory",
                "pids limit", "disk", "time"} <= named.keys()  # fmt: skip
        assert not seal.enforced.keys() & seal.not_enforced.keys()
    assert "network" in engine.seal("host").not_enforced
