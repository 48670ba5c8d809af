"""One engine, one user, one run's folders: what the tests of every engine stand on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from repro.model.ports import SandboxRequest, SandboxResult
from repro.runtime.base import Runtime
from repro.runtime.choose import all_engines
from tests.docker_daemon import daemon
from tests.other_user import USERS, as_user, given, open_folder
from tests.rootfs import small_root

NAP = str(100_000_000 + os.getpid())  # seconds; no other process sleeps as long
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/home/a", "A": "b c"}


@pytest.fixture(scope="session")
def layers_by_user() -> Iterator[Mapping[int | None, Path]]:
    """Unpacked layers belong to the user who runs them."""
    with open_folder() as top:
        made = {}
        for user in USERS:
            (top / str(user)).mkdir()
            made[user] = given(small_root(top / str(user)), user)
        yield made


MARKS = {
    "bubblewrap": [],
    "crun": [pytest.mark.real],
    "runc": [pytest.mark.real, pytest.mark.slow],
    "podman": [pytest.mark.real, pytest.mark.slow],
    "docker": [pytest.mark.real, pytest.mark.slow],
    "apptainer": [pytest.mark.real, pytest.mark.slow],
}
"""Which tests of an engine run when; tests/real/test_engines.py runs a few on each."""
ROOT_ONLY = frozenset({"runc", "docker"})
NOT_INSTALLABLE = frozenset({"apptainer"})
"""No package of Debian's or Ubuntu's: also in CI it may be missing."""


def _marks(name: str, uid: int | None) -> list[pytest.MarkDecorator]:
    """crun as an ordinary user is what matters; as root as well when there is time."""
    slow = name == "crun" and uid is None and len(USERS) > 1
    return [*MARKS[name], *([pytest.mark.slow] if slow else [])]


def engine_users() -> list[ParameterSet]:
    """Each engine with each user who can have it."""
    return [
        pytest.param((engine.name, uid), marks=_marks(engine.name, uid), id=f"{engine.name}-{uid}")
        for engine in all_engines()
        for uid in USERS
        if engine.name not in ROOT_ONLY or (uid is None and os.geteuid() == 0)
    ]


@pytest.fixture(params=engine_users())
def user(request: pytest.FixtureRequest) -> int | None:
    return request.param[1]  # type: ignore[no-any-return]


@pytest.fixture
def layer(layers_by_user: Mapping[int | None, Path], user: int | None) -> Path:
    return layers_by_user[user]


@pytest.fixture(scope="session")
def docker_host() -> Iterator[None]:
    """A dockerd for the docker engine, unless DOCKER_HOST names one."""
    if "DOCKER_HOST" in os.environ:
        yield
        return
    try:
        with daemon() as address:
            os.environ["DOCKER_HOST"] = address
            yield
    except RuntimeError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    finally:
        os.environ.pop("DOCKER_HOST", None)


_TRIED: dict[tuple[str, int | None], str | None] = {}
"""Why an engine does not work for a user, None when it does: tried once, a test is not."""


def tried(found: Runtime, user: int | None) -> str | None:
    """``usable`` of this engine for this user."""
    key = found.name, user
    if key not in _TRIED:
        _TRIED[key] = as_user(user, found.usable)
    return _TRIED[key]


@pytest.fixture
def engine(request: pytest.FixtureRequest, user: int | None) -> Runtime:
    name = request.node.callspec.params["user"][0]
    if name == "docker":
        request.getfixturevalue("docker_host")
    found = next(engine for engine in all_engines() if engine.name == name)
    reason = tried(found, user)
    if reason is not None:
        if os.environ.get("CI") and name not in NOT_INSTALLABLE:
            pytest.fail(f"{found.name}: {reason}")
        pytest.skip(reason)
    return found


class Box:
    """One run's folders. ``folder`` and what is in it belong to the user who runs."""

    def __init__(
        self, engine: Runtime, layers: list[Path], folder: Path, user: int | None = None
    ) -> None:
        self.engine, self.layers, self.user = engine, layers, user
        self.folder = given(folder, user)
        self.upper, self.work = folder / "upper", folder / "work"
        for made in (self.upper, self.work):
            made.mkdir()
            given(made, user)
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
            request = self.request(out.fileno(), err.fileno(), *argv, **changes)
            return as_user(self.user, lambda: self.engine.run(request))

    def sh(self, script: str, **changes: object) -> SandboxResult:
        return self.run("/bin/sh", "-c", script, **changes)

    def said(self) -> str:
        return self.out.read_text()


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


@pytest.fixture
def box(engine: Runtime, layer: Path, folder: Path, user: int | None) -> Box:
    return Box(engine, [layer], folder, user)


def living() -> list[str]:
    """The processes of this file's sandboxes."""
    listed = subprocess.run(
        ["ps", "-e", "-o", "pid,ppid,stat,args"], capture_output=True, text=True
    )
    return [line for line in listed.stdout.splitlines() if f"sleep {NAP}" in line]
