"""An engine that is given a folder, started in namespaces that end with us (``carried``).

What is the same for crun, runc, podman and apptainer: the image as one overlay, the limits,
the end by time or by us, what it used, and what a failed start says.
"""

from __future__ import annotations

import contextlib
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from repro.errors import ReproError, RerunFailed, RuntimeUnavailable
from repro.model.ports import SandboxRequest, SandboxResult
from repro.model.step import Cost
from repro.primitives.frozen import frozen
from repro.primitives.process import subreaper, waitable_children
from repro.primitives.texts import printable
from repro.runtime.bundle import programs
from repro.runtime.carried import Load, carry
from repro.runtime.cgroups import Cgroup
from repro.runtime.held import held
from repro.runtime.layers import overlay_options
from repro.runtime.rootfs import check_upper, make_trusted
from repro.runtime.seccomp import filter_program
from repro.runtime.watch import Watch
from repro.runtime.watchdog import INTERVAL, Watchdog, processes

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_STAGES = {
    "namespaces": "user namespaces are off: sudo sysctl user.max_user_namespaces=10000 (and "
    "kernel.unprivileged_userns_clone=1 on older Debian); in a container, run that one with "
    "--privileged",
    "uid map": "this machine forbids what a user namespace needs: on Ubuntu sudo sysctl "
    "kernel.apparmor_restrict_unprivileged_userns=0; in a container, run that one with "
    "--privileged",
    "mount proc": "a container hides parts of /proc: run it with --security-opt "
    "systempaths=unconfined (docker) or --security-opt unmask=ALL (podman)",
    "overlay": "overlayfs in a user namespace is refused (Linux 5.11 or newer; the folder must "
    "not lie on an overlay or network disk itself): set REPRO_CACHE and TMPDIR to another disk",
}
"""A stage of the set-up -> what the machine forbids, and the mend."""


@frozen
class Calls:
    """What one engine is told: see ``carried.Load``. ``files`` lie below /run."""

    calls: tuple[tuple[str, ...], ...]
    start: tuple[str, ...]
    files: Mapping[str, bytes]
    pid_file: str | None = None
    environment: Mapping[str, str] | None = None
    hidden: tuple[str, ...] = ()
    attached: bool = False
    quiet: bool = False
    log: str | None = None
    keeps_cgroups: bool = False
    uid: int = 0


def run_carried(
    request: SandboxRequest, calls: Callable[[SandboxRequest], Calls], name: str
) -> SandboxResult:
    """Run to the end. Raises RuntimeUnavailable, RerunFailed."""
    check_upper(request.upper)
    with _prepared(request, calls(request)) as (load, said):
        started = time.monotonic()
        with held(request.limits) as group, _Carrier(load, request) as carrier:
            return carrier.wait(started, group, lambda: _words(said), name)


@contextlib.contextmanager
def _prepared(request: SandboxRequest, calls: Calls) -> Iterator[tuple[Load, int]]:
    resolver = b""
    if request.network == "host":
        with contextlib.suppress(OSError):
            resolver = Path("/etc/resolv.conf").read_bytes()
    said = os.memfd_create("repro-engine")
    place = os.path.dirname(os.path.realpath(request.upper))
    try:
        with (
            tempfile.TemporaryDirectory(prefix="carried-", dir=place) as top,
            subreaper(),
            waitable_children(),
        ):
            home = request.environment.get("HOME", "/")
            make_trusted(Path(top) / "root", home, resolver, request.guise)
            point = Path(top) / "image"
            point.mkdir()
            lower = (*request.layers, f"{top}/root")
            yield _load(request, calls, overlay_options(lower, request.upper, request.work),
                        str(point), said), said  # fmt: skip
    finally:
        os.close(said)


def _load(request: SandboxRequest, calls: Calls, options: bytes, point: str, said: int) -> Load:
    return Load(
        with_user_namespace=os.geteuid() != 0 or calls.uid != 0,
        options=options,
        point=os.fsencode(point),
        hidden=tuple(map(os.fsencode, calls.hidden)),
        files={os.fsencode(path): data for path, data in calls.files.items()},
        calls=tuple(tuple(map(os.fsencode, argv)) for argv in calls.calls),
        start=tuple(map(os.fsencode, calls.start)),
        pid_file=None if calls.pid_file is None else os.fsencode(calls.pid_file),
        environment={
            os.fsencode(key): os.fsencode(value)
            for key, value in {"PATH": _PATH, **(calls.environment or {})}.items()
        },
        said=said,
        cwd=os.fsencode(request.cwd),
        programs=tuple(map(os.fsencode, programs(request))),
        program=filter_program(platform.machine()),
        attached=calls.attached,
        quiet=calls.quiet,
        uid=calls.uid,
        keeps_cgroups=calls.keeps_cgroups,
        log=None if calls.log is None else os.fsencode(calls.log),
    )


class _Carrier:
    """One start and its end."""

    def __init__(self, load: Load, request: SandboxRequest) -> None:
        self._request = request
        self._load = load
        self._block: int | None = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> _Carrier:
        status, told = os.pipe()
        block, self._block = os.pipe()
        self._stack.callback(os.close, status)
        self._stack.callback(self._let_go)
        try:
            pid = self._fork(told, block)
        except BaseException:
            self._stack.close()
            raise
        finally:
            os.close(told)
            os.close(block)
        self._watch = self._stack.enter_context(
            Watch(pid, status, own_group=self._request.stdin is None)
        )
        return self

    def __exit__(self, *exception: object) -> bool | None:
        return self._stack.__exit__(*exception)  # type: ignore[arg-type]

    def _let_go(self) -> None:
        if self._block is not None:
            os.close(self._block)
            self._block = None

    def _fork(self, told: int, block: int) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            request = self._request
            carry(self._load, (request.stdin, request.stdout, request.stderr), told, block, parent)
        return pid

    def wait(
        self, started: float, group: Cgroup | None, said: Callable[[], str], name: str
    ) -> SandboxResult:
        """The result, or why there is none."""
        request, watch = self._request, self._watch
        deadline = None if request.timeout is None else started + request.timeout
        dog = self._begin(group, deadline)
        ended = watch.ended(deadline, dog.look if dog is not None else None, INTERVAL)
        if not ended:
            watch.kill()
        reached = dog.reached if dog is not None else None
        code, usage, _ = watch.reap()
        if ended and not watch.executed():
            if code >= 0:
                raise self._not_started(said(), name)
            code = -code + 128 - 256  # the carrier was killed: 128+N, as for a program
        if reached is None and code != 0 and group is not None:
            reached = group.reached()
        return SandboxResult(
            exit=128 - code if code < 0 else code,
            timed_out=not ended and reached is None,
            reached=reached,
            cost=self._cost(started, group, dog),
        )

    def _begin(self, group: Cgroup | None, deadline: float | None) -> Watchdog | None:
        """Put the command where its limits are held, then let it go.

        An engine may hang while it makes the command's place: no longer than ``deadline``.
        """
        request, watch = self._request, self._watch
        command = self._command(deadline) if watch.started() else None
        if command is None and self._load.pid_file is None:
            command = watch.init  # what it starts is held with it, the engine too
        dog = None
        if command is not None:
            if group is not None:
                group.add(command)
            if request.limits:
                skip = tuple(group.enforces) if group is not None else ()
                dog = Watchdog(
                    command, request.upper, request.limits, skip, (request.stdout, request.stderr)
                )
        self._let_go()
        if command is not None and request.started is not None and watch.init is not None:
            # Whoever joins now finds the command, not the engine that makes its place.
            if watch.await_report("started", deadline) is not None:
                request.started(watch.init)
        return dog

    def _command(self, deadline: float | None) -> int | None:
        """The command's process as this machine numbers it."""
        if self._load.pid_file is None:
            return None
        inner = self._watch.await_report("inner-pid", deadline)
        if inner is None or self._watch.init is None:
            return None
        for pid, _ in processes(self._watch.init):
            if _number_inside(pid, self._watch.init) == inner:
                return pid
        return None

    def _cost(self, started: float, group: Cgroup | None, dog: Watchdog | None) -> Cost:
        watch = self._watch
        peaks = [watch.figure("peak"), dog.peak if dog is not None else None]
        if group is not None:
            peaks.append(group.peak_memory())
        known = [int(peak) for peak in peaks if peak]
        return Cost(
            wall=time.monotonic() - started,
            cpu_user=watch.figure("user"),
            cpu_system=watch.figure("system"),
            peak_memory=max(known, default=None),
        )

    def _not_started(self, said: str, name: str) -> ReproError:
        stage, number = self._watch.failure() or ("engine", 0)
        why = os.strerror(number) if number else said
        if stage in ("chdir", "exec"):
            what = self._request.cwd if stage == "chdir" else self._request.argv[0]
            return RerunFailed(
                f"{printable(what, 100)} cannot be started in the sandbox: {printable(why, 60)}",
                hint="it is not in the archive's image",
                slug="rerun-command",
            )
        return RuntimeUnavailable(
            f"{name} could not set up the sandbox",
            hint=_STAGES.get(stage, "`repro doctor` says what this machine lacks"),
            details=[printable(f"{stage}: {why}", 500)],
        )


def command_below(init: int) -> int | None:
    """The command's process below a carrier's process 1; None when it is gone.

    It is the one child in another user namespace; which one it is in, may not be looked at,
    but its map may (user_namespaces(7)).
    """
    with contextlib.suppress(OSError):
        own = Path(f"/proc/{init}/uid_map").read_bytes()
        with open(f"/proc/{init}/task/{init}/children", "rb") as stream:
            for pid in map(int, stream.read().split()):
                if Path(f"/proc/{pid}/uid_map").read_bytes() != own:
                    return pid
    return None


def _number_inside(pid: int, init: int) -> int | None:
    """The process's number in the pid namespace whose first process is ``init``."""
    with contextlib.suppress(OSError, StopIteration, ValueError, IndexError):
        depth = len(_numbers(init)) - 1
        return _numbers(pid)[depth]
    return None


def _numbers(pid: int) -> list[int]:
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as stream:
        line = next(line for line in stream if line.startswith("NSpid:"))
    return [int(word) for word in line.split()[1:]]


def _words(said: int) -> str:
    size = os.fstat(said).st_size
    return os.pread(said, 10_000, max(0, size - 10_000)).decode("utf-8", "replace").strip()
