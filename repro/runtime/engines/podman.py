"""podman, carried, on our own layers: no image is loaded into a store (podman-create(1))."""

from __future__ import annotations

import json
import os
import platform
import shutil
from pathlib import Path

from repro.errors import RuntimeUnavailable
from repro.model.limits import Limits
from repro.model.ports import SandboxRequest, SandboxResult, Seal
from repro.runtime.base import Runtime, with_mend
from repro.runtime.bundle import check_words, environment, half_of_memory, id_maps
from repro.runtime.carried import IMAGE
from repro.runtime.carrier import Calls, run_carried
from repro.runtime.oci import SEARCH, Program, find_program, seal, try_out
from repro.runtime.profile import profile
from repro.runtime.rootfs import proc_lists

_INITS = ("catatonit", "tini-static", "docker-init")
"""Linked without libraries: what they run in is the archive's image."""
_INIT = "/run/p/init"
_INIT_FOLDERS = f"/usr/libexec/podman:/usr/lib/podman:{SEARCH}"
_MASKED = ("/proc/pressure", "/sys")
"""Besides what podman closes; without these a run is as under the other engines."""
_CONFIG = """[containers]
default_sysctls = []
default_ulimits = []
default_capabilities = []
env = []
volumes = []
devices = []
annotations = []
http_proxy = false
env_host = false
apparmor_profile = "unconfined"
log_driver = "none"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
hooks_dir = []
"""
"""Ours instead of the machine's, so that podman does the same everywhere (containers.conf(5))."""


class Podman(Runtime):
    """Its stores lie in the carrier's own /run and end with the run.

    Podman gives every container a process 1, for which it needs a program of this machine;
    as it hands the command's streams through, they are pipes inside.
    """

    name = "podman"
    rank = 40
    adds = frozenset({"HOSTNAME", "HOME"})

    def __init__(self) -> None:
        self._found: Program | None = None

    def _program(self) -> Program:
        if self._found is None:
            self._found = find_program("podman", "podman")
        return self._found

    def _identity(self) -> str:
        return f"{self.name} {self._program().identity}"

    def _usable(self) -> str | None:
        self._program()
        if _init() is None:
            return with_mend(f"podman has no init here ({', '.join(_INITS)})", "apt install tini")
        if _oci_runtime() is None:
            return with_mend("podman has no crun to start containers with", "apt install crun")
        try_out(self._calls, self.name)
        return None

    def _seal(self, network: str, limits: Limits) -> Seal:
        own = {
            "environment": "only the recorded variables, PWD, HOME and HOSTNAME",
            "pids": "own namespace, by podman",
            "devices": "null zero full random urandom tty pts shm mqueue only",
        }
        return seal(self.name, self._program().version, network, limits, own)

    def _run(self, request: SandboxRequest) -> SandboxResult:
        check_words(request, self.name)
        return run_carried(request, self._calls, self.name)

    def _calls(self, request: SandboxRequest) -> Calls:
        init, runtime = _init(), _oci_runtime()
        if init is None or runtime is None:
            raise RuntimeUnavailable("podman lacks an init or crun", hint="apt install tini crun")
        words = (
            self._program().path, "--root", "/run/p/root", "--runroot", "/run/p/runroot",
            "--tmpdir", "/run/p/tmp", "--storage-driver", "vfs", "--runtime", runtime,
            "--cgroup-manager", "cgroupfs", "--events-backend", "none",
        )  # fmt: skip
        return Calls(
            calls=((*words, *_create(request)), (*words, "init", "repro")),
            start=(*words, "start", "--attach", "--sig-proxy=false", *_stdin(request), "repro"),
            files={
                "/run/p/containers.conf": _CONFIG.encode(),
                "/run/p/seccomp.json": json.dumps(profile(platform.machine())).encode(),
                "/run/p/policy.json": b"{}",
                _INIT: Path(init).read_bytes(),
            },
            pid_file="/run/pid",
            environment={
                "CONTAINERS_CONF": "/run/p/containers.conf", "HOME": "/run/p",
                "XDG_RUNTIME_DIR": "/run/p", "TMPDIR": "/run/p",
            },
            # Locks and stores of podman's own are made there, and end with the carrier.
            hidden=("/dev/shm", "/var/lib/containers"),
            attached=True,
            quiet=True,
        )  # fmt: skip


def _create(request: SandboxRequest) -> list[str]:
    uid = f"{request.guise.uid}:{request.guise.uid}"
    words = ["create", "--name", "repro", "--rootfs", "--pidfile", "/run/pid"]
    for each in id_maps(request.guise.uid, with_root=os.geteuid() == 0):
        ids = f"{each['containerID']}:{each['hostID']}:{each['size']}"
        words += ["--uidmap", ids, "--gidmap", ids]
    words += ["--pid", "private", "--ipc", "private", "--uts", "private", "--cgroups", "disabled"]
    words += ["--network", request.network, "--no-hosts", "--hostname", request.guise.host]
    words += ["--init", "--init-path", _INIT, "--user", uid, "--workdir", request.cwd]
    words += ["--cap-drop", "all", "--security-opt", "no-new-privileges"]
    words += ["--security-opt", "seccomp=/run/p/seccomp.json"]
    masked = [*proc_lists()[1], *_MASKED]
    words += ["--security-opt", f"mask={':'.join(masked)}"]
    words += [
        "--read-only=false",
        "--image-volume",
        "ignore",
        "--http-proxy=false",
    ]
    words += ["--env-host=false", "--unsetenv-all", "--entrypoint", "[]", "--log-driver", "none"]
    words += ["--shm-size", str(half_of_memory()), *_stdin(request)]
    for name, value in environment(request).items():
        words += ["--env", f"{name}={value}"]
    return [*words, os.fsdecode(IMAGE), *request.argv]


def _stdin(request: SandboxRequest) -> list[str]:
    return [] if request.stdin is None else ["--interactive"]


def _init() -> str | None:
    """A program that waits for the command and for orphans, of this machine."""
    for name in _INITS:
        path = shutil.which(name, path=_INIT_FOLDERS)
        if path is not None:
            return os.path.realpath(path)
    return None


def _oci_runtime() -> str | None:
    path = shutil.which("crun", path=SEARCH)
    return None if path is None else os.path.realpath(path)
