"""A control group by the user's own systemd, where we may make none ourselves.

``systemd-run --user --scope`` makes a scope with the limits around a process that only
waits; the command is attached to it (org.freedesktop.systemd1(5), AttachProcessesToUnit: the
system's manager moves it, which the user's own may not). The waiting process keeps the scope,
and with it the kernel's counters, until we have read them. systemd-run(1), busctl(1),
systemd.resource-control(5).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from repro.model.limits import Limits
from repro.runtime.cgroups import Cgroup, unified_group

_SEARCH = "/usr/bin:/bin:/usr/local/bin"
_PATIENCE = 10.0
_COUNTER = iter(range(1 << 62))
_MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1",
            "org.freedesktop.systemd1.Manager")  # fmt: skip


def scope_command(program: str, unit: str, limits: Limits) -> list[str]:
    """The command line that makes the scope; ``cat`` in it waits for the end of its stdin."""
    words = [program, "--user", "--scope", "--quiet", "--collect", f"--unit={unit}"]
    words += [f"--property={each}" for each in _properties(limits)]
    return [*words, "--", "/bin/cat"]


def attach_command(program: str, unit: str, pid: int) -> list[str]:
    """The command line that moves a process into the scope."""
    return [
        program, "--user", "--quiet", "call", *_MANAGER, "AttachProcessesToUnit", "ssau",
        f"{unit}.scope", "", "1", str(pid),
    ]  # fmt: skip


def _properties(limits: Limits) -> list[str]:
    # systemd attaches a process only to a unit that is delegated (man systemd.scope).
    found = ["Delegate=yes"]
    if limits.memory is not None:
        found += [f"MemoryMax={limits.memory}", "MemorySwapMax=0"]
    if limits.pids is not None:
        found.append(f"TasksMax={limits.pids + 1}")  # one is the process that waits
    if limits.cpus is not None:
        found.append(f"CPUQuota={limits.cpus * 100:g}%")
    return found


_FILES = {"memory": "memory.max", "pids": "pids.max", "cpus": "cpu.max"}


class Scope(Cgroup):
    """A scope of the user's systemd as a control group."""

    def __init__(
        self, folder: Path, enforces: Mapping[str, str], holder: subprocess.Popen[bytes],
        attach: list[str],
    ) -> None:  # fmt: skip
        super().__init__(dict.fromkeys(enforces, folder), enforces)
        self._holder = holder
        self._attach = attach
        self._folder = folder

    def add(self, pid: int) -> None:
        """Attach a process; raises OSError when it is not in the scope afterwards."""
        program, unit = self._attach
        with contextlib.suppress(subprocess.SubprocessError):
            subprocess.run(
                attach_command(program, unit, pid), env=_environment(), capture_output=True,
                stdin=subprocess.DEVNULL, timeout=_PATIENCE,
            )  # fmt: skip
        if unified_group(pid) != self._folder:
            raise OSError(1, f"systemd did not attach the run to {unit}.scope")

    def close(self) -> None:
        """End the waiting process: the scope goes with it."""
        _end(self._holder)


def make_scope(limits: Limits) -> Scope | None:
    """A scope that holds what it can of memory, processes and processors; None where no user
    manager answers, or it would not attach a process of ours (tried by doing)."""
    import shutil  # not before it is needed: docs/decisions/0005

    run, call = (shutil.which(name, path=_SEARCH) for name in ("systemd-run", "busctl"))
    wanted = [name for name in _FILES if getattr(limits, name) is not None]
    if run is None or call is None or not wanted or not _manager_answers():
        return None
    unit = f"repro-{os.getpid()}-{next(_COUNTER)}"
    holder = _waiting(scope_command(run, unit, limits))
    try:
        scope = _found(holder, wanted, [call, unit])
        if scope is not None and _attaches(scope):
            return scope
    except OSError:
        pass
    _end(holder)
    return None


def _found(holder: subprocess.Popen[bytes], wanted: list[str], attach: list[str]) -> Scope | None:
    """The scope once ``cat`` answers from inside it; None when it did not come up."""
    assert holder.stdin is not None and holder.stdout is not None
    holder.stdin.write(b"x")
    holder.stdin.flush()
    if holder.stdout.read(1) != b"x":
        return None
    folder = unified_group(holder.pid)
    if folder is None or folder.name != f"{attach[1]}.scope":
        return None
    held = [name for name in wanted if (folder / _FILES[name]).exists()]
    names = {"cpu" if name == "cpus" else name: "cgroup v2, a scope of systemd" for name in held}
    return Scope(folder, names, holder, attach) if names else None


def _attaches(scope: Scope) -> bool:
    probe = _waiting(["/bin/cat"])
    try:
        scope.add(probe.pid)
        return True
    except OSError:
        return False
    finally:
        _end(probe)


def _waiting(argv: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def _end(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _manager_answers() -> bool:
    return os.path.exists(f"/run/user/{os.geteuid()}/systemd/private")


def _environment() -> dict[str, str]:
    home = f"/run/user/{os.geteuid()}"
    return {
        "PATH": _SEARCH, "XDG_RUNTIME_DIR": home,
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={home}/bus",
    }  # fmt: skip
