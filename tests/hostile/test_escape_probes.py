"""A program that tries to leave the sandbox: every attempt fails, every honest need works."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from repro.errors import RerunFailed
from repro.model.ports import SandboxRequest
from repro.runtime.base import Runtime
from repro.runtime.choose import all_engines
from tests.contracts.runtime_box import (  # noqa: F401
    MARKS,
    NOT_INSTALLABLE,
    ROOT_ONLY,
    docker_host,
)
from tests.other_user import USERS, as_user, given, open_folder
from tests.rootfs import python_root

PROBE = Path(__file__).parent / "probes" / "probe.py"
CANARY = "repro-canary"


@pytest.fixture(scope="session")
def roots() -> Iterator[Mapping[int | None, tuple[Path, str]]]:
    """An unpacked layer with Python and the probe for each user, and its interpreter."""
    with open_folder() as top:
        made = {}
        for user in USERS:
            (top / str(user)).mkdir()
            root, program = python_root(top / str(user))
            shutil.copy(PROBE, root / "project" / "probe.py")
            made[user] = given(root, user), program
        yield made


@pytest.fixture(params=[pytest.param(e.name, marks=MARKS[e.name]) for e in all_engines()])
def engine(request: pytest.FixtureRequest) -> Runtime:
    if request.param == "docker":
        request.getfixturevalue("docker_host")
    return next(engine for engine in all_engines() if engine.name == request.param)


def needs(engine: Runtime, user: int | None) -> None:
    if engine.name in ROOT_ONLY and (user is not None or os.geteuid() != 0):
        pytest.skip(f"{engine.name} is for root alone")
    reason = as_user(user, engine.usable)
    if reason is not None:
        if os.environ.get("CI") and engine.name not in NOT_INSTALLABLE:
            pytest.fail(f"{engine.name}: {reason}")
        pytest.skip(reason)


DOCKERS_OWN = {
    "leak: kernel files to write": {"/proc/pressure/io", "/proc/pressure/cpu",
                                    "/proc/pressure/memory", "/proc/pressure/irq"},
    "leak: mounts of the host": {"/sbin/docker-init", "/etc/resolv.conf", "/etc/hostname",
                                 "/etc/hosts"},
}  # fmt: skip


def declared(engine: Runtime, name: str, said: str) -> bool:
    """Whether the seal itself says that this is open, and nothing else is."""
    named = set(re.findall(r"'(/[^']+)'", said))
    mine = engine.name == "docker" and bool(named) and named <= DOCKERS_OWN.get(name, set())
    return mine and "kernel files" in engine.seal().not_enforced


def fingerprint(root: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for path in root.rglob("*"):
        status = path.lstat()
        found[str(path)] = status.st_mtime_ns, status.st_size, status.st_mode
    return found


@pytest.mark.parametrize("user", USERS, ids=str)
def test_probes(
    engine: Runtime,
    user: int | None,
    roots: Mapping[int | None, tuple[Path, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needs(engine, user)
    root, program = roots[user]
    before = fingerprint(root)
    nap = str(200_000_000 + os.getpid())
    monkeypatch.setenv("CANARY", CANARY)
    with open_folder() as folder, socket.socket() as server:
        secret = folder / "secret"
        secret.write_text(CANARY)
        scratch = folder / "scratch"
        for made in (scratch, scratch / "upper", scratch / "work"):
            made.mkdir()
        given(scratch, user)
        server.bind(("127.0.0.1", 0))
        server.listen()
        hidden = socket.socket(socket.AF_UNIX)
        name = f"repro-probe-{os.getpid()}-{user}"
        hidden.bind("\0" + name)
        hidden.listen()
        argv = [program, "-B", "probe.py", str(server.getsockname()[1]), name, str(secret), nap]
        with (
            hidden, secret.open() as inherited,
            (folder / "out").open("wb") as out, (folder / "err").open("wb") as err,
        ):  # fmt: skip
            os.set_inheritable(inherited.fileno(), True)
            request = SandboxRequest(
                layers=[str(root)], upper=str(scratch / "upper"), work=str(scratch / "work"),
                cwd="/project", argv=argv, stdout=out.fileno(), stderr=err.fileno(), timeout=300,
                environment={"PATH": "/usr/bin:/bin", "HOME": "/home/a", "LANG": "C.UTF-8"},
            )  # fmt: skip
            result = as_user(user, lambda: engine.run(request))
        said = (folder / "err").read_text()
        assert result.exit == 0, said
        found = json.loads((folder / "out").read_text())
        assert (scratch / "upper/project/written").exists()
    leaks = {name: said for name, said in found.items() if said.startswith("LEAK")}
    leaks = {name: said for name, said in leaks.items() if not declared(engine, name, said)}
    assert not leaks
    honest = {n: said for n, said in found.items() if n.startswith("honest") and said != "ok"}
    assert not honest
    assert len([name for name in found if name.startswith("leak")]) >= 88
    assert len([name for name in found if name.startswith("honest")]) >= 42
    assert socket.gethostname() != "owned"
    assert (
        nap not in subprocess.run(["ps", "-e", "-o", "args"], capture_output=True, text=True).stdout
    )
    assert fingerprint(root) == before


def _steps(box: Path, engine: Runtime, user: int | None, root: Path, program: str) -> Path:
    """Two runs in one writable layer; what the second prints."""
    for number in (1, 2):
        with (box / f"out{number}").open("wb") as out, (box / "err").open("wb") as err:
            request = SandboxRequest(
                layers=[str(root)], upper=str(box / "upper"), work=str(box / "work"),
                cwd="/project", argv=[program, "-B", "-c", TAKEOVER], stdout=out.fileno(),
                stderr=err.fileno(), environment={"PATH": "/usr/bin:/bin"}, timeout=60,
            )  # fmt: skip
            as_user(user, lambda request=request: engine.run(request))
    return box / "out2"


TAKEOVER = """
import os, shutil
for path in ("/proc", "/dev", "/tmp", "/etc", "/run", "/sys", "/var"):
    for attempt in (
        lambda: shutil.rmtree(path, ignore_errors=True),
        lambda: os.rename(path, path + "-old"),
        lambda: os.unlink(path),
        lambda: os.rmdir(path),
        lambda: os.symlink("/oldroot/OUTSIDE", path),
        lambda: os.chmod(path, 0),
    ):
        try:
            attempt()
        except OSError:
            pass
print(os.path.isdir("/proc/self"), os.path.exists("/dev/null"), flush=True)
os.chmod("/", 0)
"""
"""A first step that replaces every folder that it can by a link, then closes the root."""


@pytest.mark.parametrize("user", USERS, ids=str)
def test_a_step_that_takes_everything_over(
    engine: Runtime, user: int | None, roots: Mapping[int | None, tuple[Path, str]]
) -> None:
    needs(engine, user)
    root, program = roots[user]
    with open_folder() as box:
        outside = box / "OUTSIDE"
        for made in (outside, box / "upper", box / "work"):
            made.mkdir(mode=0o777)
        given(box, user)
        before = fingerprint(root)
        try:
            second = _steps(box, engine, user, root, program).read_text()
        except RerunFailed as refused:
            assert refused.slug == "hostile-step"
        else:
            assert second == "True True\n"
        (box / "upper").chmod(0o700)
        assert not (box / "upper/proc").is_symlink()
        assert not (box / "upper/dev").is_symlink()
        assert list(outside.iterdir()) == []
        assert fingerprint(root) == before
