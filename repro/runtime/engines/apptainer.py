"""apptainer, carried, on our own layers as a sandbox folder (apptainer-exec(1), 1.1 and newer)."""

from __future__ import annotations

import json
import os
import platform

from repro.model.limits import Limits
from repro.model.ports import SandboxRequest, SandboxResult, Seal
from repro.runtime.base import Runtime
from repro.runtime.bundle import check_words, environment
from repro.runtime.carried import IMAGE
from repro.runtime.carrier import Calls, run_carried
from repro.runtime.oci import Program, find_program, seal
from repro.runtime.profile import profile

_FILTER = "/run/seccomp.json"


class Apptainer(Runtime):
    """Only by name: its command line is built and tested against its documentation, but no
    apptainer was at hand to run the escape probes under it.

    Variables go by ``APPTAINERENV_NAME``, which it takes as they are; its ``--env`` splits
    at commas.
    """

    name = "apptainer"
    rank = 90
    by_name_only = "its seal was never tried by us: ask for it with --engine apptainer"
    adds = frozenset({
        "HOME", "PATH", "PS1", "LD_LIBRARY_PATH", "APPTAINER_NAME", "APPTAINER_CONTAINER",
        "APPTAINER_COMMAND", "APPTAINER_BIND", "APPTAINER_ENVIRONMENT", "SINGULARITY_NAME",
        "SINGULARITY_CONTAINER", "SINGULARITY_BIND", "SINGULARITY_ENVIRONMENT",
        "PROMPT_COMMAND", "USER_PATH",
    })  # fmt: skip
    measures_all = False

    def __init__(self) -> None:
        self._found: Program | None = None

    def _program(self) -> Program:
        if self._found is None:
            self._found = find_program("apptainer", "install it from apptainer.org")
        return self._found

    def _usable(self) -> str | None:
        self._program()
        return None

    def _seal(self, network: str, limits: Limits) -> Seal:
        own = {
            "users": "own namespace, uid 1000, --no-privs, by apptainer",
            "environment": "the recorded variables, and those that apptainer sets",
        }
        made = seal(self.name, self._program().version, network, limits, own)
        missing = {**made.not_enforced, "cgroup": "apptainer makes no namespace of control groups"}
        missing["proof"] = "asked of apptainer; repro's escape probes were never run under it"
        enforced = {name: how for name, how in made.enforced.items() if name not in missing}
        return Seal(
            engine=made.engine, version=made.version, enforced=enforced, not_enforced=missing
        )

    def _run(self, request: SandboxRequest) -> SandboxResult:
        check_words(request, self.name)
        return run_carried(request, self._calls, self.name)

    def _calls(self, request: SandboxRequest) -> Calls:
        return Calls(
            calls=(),
            start=tuple(command(self._program().path, request)),
            files={_FILTER: json.dumps(profile(platform.machine())).encode()},
            environment={
                "HOME": "/run", "APPTAINER_CACHEDIR": "/run/cache", "APPTAINER_TMPDIR": "/run",
                **{f"APPTAINERENV_{n}": value for n, value in environment(request).items()},
            },
            attached=True,
            uid=request.guise.uid,
        )  # fmt: skip


def command(program: str, request: SandboxRequest) -> list[str]:
    """The command line; every option is in the manual of apptainer 1.1 (tested)."""
    words = [program, "--silent", "exec", "--userns", "--containall", "--cleanenv", "--no-home"]
    words += ["--no-privs", "--no-eval", "--writable", "--hostname", request.guise.host]
    words += ["--no-mount", "home,cwd,tmp,hostfs,bind-paths", "--pwd", request.cwd]
    words += ["--net", "--network", "none"] if request.network == "none" else []
    words += ["--security", f"seccomp:{_FILTER}"]
    return [*words, os.fsdecode(IMAGE), *request.argv]
