"""Engines that start an OCI bundle: crun and runc, the programs below podman and docker."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from typing import ClassVar

from repro.errors import RuntimeUnavailable
from repro.model.limits import Limits
from repro.model.ports import JoinRequest, SandboxRequest, SandboxResult, Seal
from repro.primitives.frozen import frozen, replace
from repro.runtime.base import Runtime
from repro.runtime.bundle import bundle, check_words
from repro.runtime.carried import IMAGE
from repro.runtime.carrier import Calls, command_below, run_carried
from repro.runtime.held import limits_sealed
from repro.runtime.join import join
from repro.runtime.seccomp import AUDIT, filter_program

_PATIENCE = 30.0  # seconds for a set-up alone
SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where an engine's program is looked for; the caller's PATH is not asked."""


@frozen
class Program:
    """An engine's program: absolute path without links, and its version."""

    path: str
    version: str

    @property
    def identity(self) -> str:
        """Another text for another file at the same place. Raises OSError."""
        status = os.stat(self.path)
        facts = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        return f"{self.path} {self.version} {facts}"


def find_program(name: str, package: str) -> Program:
    """The program of this name; ``package`` is Debian's, or a sentence that says where it is from.

    Raises RuntimeUnavailable when it is not here.
    """
    path = shutil.which(name, path=SEARCH)
    if path is None:
        raise RuntimeUnavailable(
            f"{name} is not installed", hint=package if " " in package else f"apt install {package}"
        )
    path = os.path.realpath(path)
    try:
        done = subprocess.run(
            [path, "--version"], env={"PATH": SEARCH, "HOME": "/"}, capture_output=True,
            stdin=subprocess.DEVNULL, timeout=20,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise RuntimeUnavailable(f"{path} cannot be run: {error}") from error
    match = re.search(rb"version\s+v?(\d[\w.+~-]*)", done.stdout)
    return Program(path=path, version=match.group(1).decode() if match else "unknown")


class BundleRuntime(Runtime):
    """What crun and runc share; they differ in a few options and in who is root inside."""

    package: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()
    with_root: ClassVar[bool] = False
    keeps_cgroups: ClassVar[bool] = False
    guises = frozenset({"host", "user", "uid"})
    joins = True
    adds = frozenset({"HOME"})

    def __init__(self) -> None:
        self._found: Program | None = None

    def _program(self) -> Program:
        if self._found is None:
            self._found = find_program(self.name, self.package)
        return self._found

    def _identity(self) -> str:
        return f"{self.name} {self._program().identity}"

    def _usable(self) -> str | None:
        self._program()
        try_out(self._calls, self.name)
        return None

    def _seal(self, network: str, limits: Limits) -> Seal:
        return seal(self.name, self._program().version, network, limits)

    def _run(self, request: SandboxRequest) -> SandboxResult:
        check_words(request, self.name)
        self._program()
        return run_carried(request, self._calls, self.name)

    def _calls(self, request: SandboxRequest) -> Calls:
        """create, then start: between them the command is put where its limits are held."""
        with_root = self.with_root
        document = bundle(request, os.fsdecode(IMAGE), platform.machine(), with_root=with_root)
        words = (self._program().path, *self.options, "--root", "/run/state", "--log", "/run/log")
        create = (*words, "create", "--bundle", "/run/bundle", "--pid-file", "/run/pid", "repro")
        return Calls(
            calls=(create,),
            start=(*words, "start", "repro"),
            files={"/run/bundle/config.json": document},
            pid_file="/run/pid",
            log="/run/log",
            keeps_cgroups=self.keeps_cgroups,
        )

    def _join(self, request: JoinRequest) -> SandboxResult:
        command = command_below(request.init)
        if command is None:
            raise RuntimeUnavailable(
                "the sandbox to join has ended", hint="try again", slug="container-join"
            )
        return join(replace(request, init=command), filter_program(platform.machine()))


def try_out(calls: Callable[[SandboxRequest], Calls], name: str) -> None:
    """Set a sandbox of this engine up, as for a run, and take it down: nothing is executed.

    Raises RuntimeUnavailable when it does not work here.
    """
    with tempfile.TemporaryDirectory(prefix="repro-probe-") as folder:
        for place in ("lower", "lower/bin", "upper", "work"):
            os.mkdir(f"{folder}/{place}")
        program = f"{folder}/lower/bin/nothing"
        with open(program, "wb") as stream:
            stream.write(b"\x7fELF nothing")
        os.chmod(program, 0o755)
        with tempfile.TemporaryFile() as heard:
            request = SandboxRequest(
                layers=[f"{folder}/lower"], upper=f"{folder}/upper", work=f"{folder}/work",
                argv=["/bin/nothing"], environment={"PATH": "/bin"}, cwd="/",
                stdout=heard.fileno(), stderr=heard.fileno(), timeout=_PATIENCE,
            )  # fmt: skip
            result = run_carried(request, lambda each: replace(calls(each), start=()), name)
    if result.timed_out:
        raise RuntimeUnavailable(f"{name} did not set a sandbox up within {_PATIENCE:g} s")


def seal(name: str, version: str, network: str, limits: Limits,
         changes: Mapping[str, str] | None = None) -> Seal:  # fmt: skip
    """What a carried engine enforces: all of it is in the bundle, or around the engine."""
    own = f"own namespace, by {name}"
    enforced = {
        "filesystem": "image read-only under a thin writable layer; nothing of the host",
        "pids": "own namespace",
        "ipc": own,
        "uts": own,
        "users": f"own namespace, uid 1000, no capabilities, no new privileges, by {name}; no "
        "further user namespaces, by the system call filter",
        "cgroup": own,
        "devices": "null zero full random urandom tty pts shm only",
        "environment": "only the recorded variables, PWD and HOME",
        "time": "the run is killed at its time limit, where one is given",
        "syscalls": f"seccomp deny list, by {name}; programs of another architecture end",
    }
    missing = {
        "host facts": "kernel, processor, uptime and the cache folder's name can be read",
    }
    held_by, not_held = limits_sealed(limits)
    enforced |= {**held_by, **(changes or {})}
    missing |= not_held
    if platform.machine() not in AUDIT:
        del enforced["syscalls"]
        missing["syscalls"] = f"no filter for {platform.machine()}: nothing is run"
    if network == "none":
        enforced["network"] = f"own namespace with nothing but loopback, by {name}"
    else:
        missing["network"] = (
            "OPEN: the run could reach the network, this machine's services and its "
            "abstract sockets"
        )
    return Seal(engine=name, version=version, enforced=enforced, not_enforced=missing)
