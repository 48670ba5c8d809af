"""docker: a copy of the layers in dockerd's store, one container a command (docker-create(1))."""

from __future__ import annotations

import contextlib
import os
import platform
import posixpath
import secrets
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.errors import RerunFailed, RuntimeUnavailable
from repro.model.limits import Limits
from repro.model.ports import SandboxRequest, SandboxResult, Seal
from repro.model.step import Cost
from repro.primitives.texts import printable
from repro.runtime.base import Runtime
from repro.runtime.bundle import check_words, environment, half_of_memory, programs
from repro.runtime.docker_client import Client, find_client
from repro.runtime.docker_image import changes, take_away, take_back, write_image
from repro.runtime.docker_watch import Ending, Look
from repro.runtime.kernel_log import KernelLog
from repro.runtime.oci import seal
from repro.runtime.rootfs import check_upper, make_trusted

_MOUNTED = ("hosts", "hostname", "resolv.conf")


class Docker(Runtime):
    """The last resort: every command copies the image into dockerd and out of it again.

    The container, its image and its volumes are removed afterwards, by a process of its own
    that also does it when we are killed.
    """

    name = "docker"
    rank = 60
    adds = frozenset({"HOSTNAME", "HOME", "PATH"})
    measures_all = False
    writes_root = False
    guises = frozenset({"host", "uid"})

    def __init__(self) -> None:
        self._found: Client | None = None

    def _client(self) -> Client:
        if self._found is None:
            self._found = find_client()
        return self._found

    def _usable(self) -> str | None:
        self._client()
        return None

    def _seal(self, network: str, limits: Limits) -> Seal:
        client = self._client()
        own = {
            "pids": "own namespace, by docker",
            "users": "uid 1000, no capabilities, no new privileges, by docker; no further user "
            "namespaces, by the system call filter; the namespace is dockerd's own",
            "devices": "null zero full random urandom tty pts shm mqueue only",
            "environment": "only the recorded variables, PWD, PATH, HOME and HOSTNAME",
        }
        made = seal(self.name, client.version, network, limits, own)
        enforced, missing = dict(made.enforced), dict(made.not_enforced)
        for name, field, how in (
            ("memory", "memory", "by docker's --memory"), ("cpu", "cpus", "by docker's --cpus"),
            ("pids limit", "pids", "by docker's --pids-limit"),
            ("disk", "disk", _disk()),
        ):  # fmt: skip
            if getattr(limits, field) is not None:
                missing.pop(name, None)
                enforced[name] = f"{limits.text(field)}, {how}"
        missing["kernel files"] = (
            "what docker leaves open: /sys to read, /proc/pressure; its init and our hosts, "
            "hostname and resolv.conf are files of the host, read-only"
        )
        return Seal(
            engine=made.engine, version=made.version, enforced=enforced, not_enforced=missing
        )

    def _run(self, request: SandboxRequest) -> SandboxResult:
        check_words(request, self.name)
        check_upper(request.upper)
        for layer in request.layers:
            if not os.path.isdir(layer):
                raise RuntimeUnavailable(
                    "the sandbox could not be set up: a folder of the image is missing",
                    details=[layer],
                )
        with _folder(request) as folder, _Container(self._client(), request, folder) as container:
            return container.run()


def _disk() -> str:
    how = "summed by docker every 2 s and killed beyond it"
    return how if os.geteuid() == 0 else f"{how}; files that are removed while open do not count"


@contextlib.contextmanager
def _folder(request: SandboxRequest) -> Iterator[str]:
    resolver = b""
    if request.network == "host":
        with contextlib.suppress(OSError):
            resolver = Path("/etc/resolv.conf").read_bytes()
    place = os.path.dirname(os.path.realpath(request.upper))
    with tempfile.TemporaryDirectory(prefix="docker-", dir=place) as top:
        home = request.environment.get("HOME", "/")
        make_trusted(Path(top) / "root", home, resolver, request.guise)
        os.chmod(top, 0o755)  # what dockerd binds from here must be readable inside
        yield top


@dataclass
class _Container:
    """One container, its image, and the guard that removes both."""

    client: Client
    request: SandboxRequest
    folder: str

    def __post_init__(self) -> None:
        self.name = f"repro-{os.getpid()}-{secrets.token_hex(6)}"
        self.image = f"{self.name}:run"

    def __enter__(self) -> _Container:
        self._guard = self.client.guard(self.name, self.image)
        return self

    def __exit__(self, *_: object) -> None:
        # The guard cleans up when its stdin ends; if it was killed, we do it.
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        if self._guard.wait() != 0:
            self.client.call("rm", "--force", "--volumes", self.name, self.name + "-look")
            self.client.call("rmi", "--force", self.image)

    def run(self) -> SandboxResult:
        self._load()
        self._check()
        self._create()
        started = time.monotonic()
        ending = self._wait(started)
        wall = time.monotonic() - started
        state = self.client.state(self.name)
        if ending.exit is None and not ending.killed:
            raise self._not_started(state, ending.said)
        self._bring_back()
        status = int(state.get("ExitCode", 137))
        reached = ending.reached
        if reached is None and state.get("OOMKilled") and status != 0:
            reached = "memory"
        return SandboxResult(
            exit=137 if ending.killed else status,
            timed_out=ending.timed_out and reached is None,
            reached=reached,
            cost=Cost(wall=wall, cpu_user=None, cpu_system=None, peak_memory=ending.peak),
        )

    def _load(self) -> None:
        request = self.request
        layers = [*map(os.path.realpath, request.layers), f"{self.folder}/root"]
        layers.append(os.path.realpath(request.upper))
        with self.client.feed("load", "--quiet") as out:
            write_image(
                out, layers, name=self.image, uid=request.guise.uid, machine=platform.machine(),
                scratch=self.folder,
            )  # fmt: skip

    def _check(self) -> None:
        """Whether folder and program are there, in a container that never runs.

        Docker makes a folder that is missing, and its init would end as a program does.
        """
        request, look = self.request, f"{self.name}-look"
        self.client.must("create", "--name", look, "--network", "none", self.image, "x")
        try:
            folder = self.client.look(look, request.cwd)
            if folder is None or not folder.isdir():
                why = "No such file or directory" if folder is None else "Not a directory"
                raise _missing(request.cwd, why)
            why = "No such file or directory"
            for place in programs(request):
                found = self.client.look(look, posixpath.join(request.cwd, place))
                if found is not None and found.isreg() and found.mode & 0o111:
                    return
                why = why if found is None else "Permission denied"
            raise _missing(request.argv[0], why)
        finally:
            self.client.call("rm", "--force", look)

    def _create(self) -> None:
        made = self.client.must("create", *self._options(), self.image, *self.request.argv)
        self.ident = made.decode("ascii", "replace").strip()

    def _options(self) -> list[str]:
        request, limits = self.request, self.request.limits
        uid = f"{request.guise.uid}:{request.guise.uid}"
        words = ["--name", self.name, "--network", request.network, "--init", "--user", uid]
        words += ["--workdir", request.cwd, "--ipc", "private", "--log-driver", "none"]
        words += ["--hostname", request.guise.host] if request.network == "none" else []
        words += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        words += ["--security-opt", f"seccomp={self.client.profile(self.folder)}"]
        words += ["--shm-size", str(half_of_memory())]
        words += ["--restart", "no", "--pull", "never", "--oom-score-adj", "0"]
        for name in _MOUNTED:
            source = f"{self.folder}/root/etc/{name}".replace('"', '""')
            words += ["--mount", f'type=bind,"source={source}",target=/etc/{name},readonly']
        if limits.memory is not None:
            words += ["--memory", str(limits.memory), "--memory-swap", str(limits.memory)]
        words += ["--cpus", f"{limits.cpus:g}"] if limits.cpus is not None else []
        words += ["--pids-limit", str(limits.pids)] if limits.pids is not None else []
        words += ["--interactive"] if request.stdin is not None else []
        for name, value in environment(request).items():
            words += ["--env", f"{name}={value}"]
        return words

    def _wait(self, started: float) -> Ending:
        request = self.request
        words = ["start", "--attach"]
        words += ["--interactive"] if request.stdin is not None else []
        deadline = None if request.timeout is None else started + request.timeout
        with KernelLog() as log:
            attached = self.client.attach(
                [*words, self.name], request.stdin, request.stdout, request.stderr
            )
            try:
                outputs = (request.stdout, request.stderr)
                look = Look(self.client, self.ident, request.limits, outputs, log)
                return look.until_end(attached, deadline, request.started)
            except BaseException:
                self.client.call("kill", self.name)
                attached.kill()
                attached.wait()
                raise

    def _not_started(self, state: dict[str, Any], said: str) -> Exception:
        why = str(state.get("Error") or said)
        program = self.request.argv[0]
        if "exec" in why and program in why:
            reason = why.rpartition(": ")[2].strip()
            return _missing(program, reason or "it cannot be executed")
        return RuntimeUnavailable(
            "docker could not start the container",
            hint="`docker info` says more",
            details=[printable(why, 500)],
        )

    def _bring_back(self) -> None:
        listed = self.client.must("diff", self.name)
        made, gone = changes(listed)
        new = {line[2:] for line in listed.splitlines() if line[:2] == b"A "}
        skipped = {f"/etc/{name}" for name in _MOUNTED}
        for path in gone:
            take_away(path, self.request.upper, self.request.layers)
        for path in made:
            if path not in skipped:
                with self.client.copied(self.name, path) as stream:
                    take_back(stream, path, self.request.upper, folders=os.fsencode(path) in new)


def _missing(what: str, why: str) -> RerunFailed:
    return RerunFailed(
        f"{printable(what, 100)} cannot be started in the sandbox: {printable(why, 60)}",
        hint="it is not in the archive's image",
        slug="rerun-command",
    )
