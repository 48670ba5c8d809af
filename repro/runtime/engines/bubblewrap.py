"""bubblewrap: rootless, comes with the install as a wheel (bubblewrap(1))."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from repro.errors import ReproError, RerunFailed, RuntimeUnavailable
from repro.model.guise import GUISES
from repro.model.limits import Limits
from repro.model.ports import JoinRequest, SandboxRequest, SandboxResult, Seal
from repro.model.step import Cost
from repro.primitives.files import fresh_folder, remove_tree
from repro.primitives.frozen import frozen, replace
from repro.primitives.process import no_signal_ignored, subreaper, waitable_children
from repro.primitives.texts import printable
from repro.runtime.base import Runtime, with_mend
from repro.runtime.cgroups import Cgroup
from repro.runtime.guised import in_guise, processor_files
from repro.runtime.held import held, limits_sealed
from repro.runtime.launcher import Launcher, brief, explain, find_launcher
from repro.runtime.rootfs import check_upper, make_trusted, proc_masks
from repro.runtime.seccomp import AUDIT, filter_program
from repro.runtime.watch import Watch
from repro.runtime.watchdog import INTERVAL, Watchdog

_PAGE = os.sysconf(
    "SC_PAGE_SIZE"
)  # mount(2) takes its options as one page, the ending NUL included
_NOTHING = "/proc/self/repro-nothing"  # a command that no image can hold
_PATIENCE = 30.0  # seconds for a set-up alone
_NAMESPACE = "own namespace"


class Bubblewrap(Runtime):
    """Runs the image as one overlay at ``/`` in fresh namespaces (docs/decisions/0001).

    The environment inside is the requested one and PWD, which bwrap sets to the folder.
    rename(2) of a folder of the image may give EXDEV, as overlayfs does without root's
    rights; mv(1) and shutil.move copy then.
    """

    name = "bubblewrap"
    rank = 10
    guises = GUISES
    joins = True
    any_bytes = True

    def __init__(self) -> None:
        self._found: Launcher | None = None

    def _launcher(self) -> Launcher:
        if self._found is None:
            self._found = find_launcher()
        return self._found

    def _identity(self) -> str:
        return f"{self.name} {self._launcher().identity}"

    def _usable(self) -> str | None:
        launcher = self._launcher()
        import tempfile  # not before it is needed: docs/decisions/0005

        with tempfile.TemporaryDirectory(prefix="repro-probe-") as folder:
            for name in ("lower", "upper", "work"):
                os.mkdir(f"{folder}/{name}")
            request = SandboxRequest(
                layers=[f"{folder}/lower"], upper=f"{folder}/upper", work=f"{folder}/work",
                argv=[_NOTHING], environment={}, cwd="/", stdout=1, stderr=2,
            )  # fmt: skip
            with _prepared(launcher, request) as sandbox:
                said = sandbox.rehearse()
        if _failed_at(said, "execvp") is not None:
            return None
        return with_mend(brief(said), explain(said))

    def _seal(self, network: str, limits: Limits) -> Seal:
        enforced = {
            "filesystem": "image read-only under a thin writable layer; nothing of the host",
            "pids": _NAMESPACE,
            "ipc": _NAMESPACE,
            "uts": _NAMESPACE,
            "users": "own namespace, uid 1000, no capabilities, no further user namespaces",
            "cgroup": _NAMESPACE,
            "devices": "null zero full random urandom tty pts shm only",
            "environment": "only the recorded variables, and PWD",
            "time": "the run is killed at its time limit, where one is given",
        }
        missing = {
            "host facts": "kernel, processor, uptime and the cache folder's name can be read",
        }
        held_by, not_held = limits_sealed(limits)
        enforced.update(held_by)
        missing.update(not_held)
        if os.uname().machine in AUDIT:
            enforced["syscalls"] = (
                "seccomp deny list; programs of another architecture (32-bit ones) do not run"
            )
        else:
            missing["syscalls"] = f"no filter for {os.uname().machine}: nothing is run"
        if network == "none":
            enforced["network"] = "own namespace with nothing but loopback"
        else:
            missing["network"] = (
                "OPEN: the run could reach the network, this machine's services and its "
                "abstract sockets"
            )
        return Seal(
            engine=self.name,
            version=self._launcher().text,
            enforced=enforced,
            not_enforced=missing,
        )

    def _run(self, request: SandboxRequest) -> SandboxResult:
        check_upper(request.upper)
        with _prepared(self._launcher(), request) as sandbox:
            return sandbox.run()

    def _join(self, request: JoinRequest) -> SandboxResult:
        from repro.runtime.join import join  # not before it is needed: docs/decisions/0005

        return join(request, filter_program(os.uname().machine))


@frozen
class Overlay:
    """The folders of the one mount at ``/``: ``lower`` lowest first, without symlinks."""

    lower: Sequence[str]
    upper: str
    work: str

    def words(self) -> list[str]:
        """bwrap's options."""
        sources = [word for folder in self.lower for word in ("--overlay-src", folder)]
        return [*sources, "--overlay", self.upper, self.work, "/"]

    def length(self) -> int:
        """Bytes of mount options that bwrap makes of it, the ending NUL included."""
        lower = sum(_escaped(folder) + 1 for folder in self.lower) - 1
        frame = len("lowerdir=,upperdir=,workdir=,userxattr") + 1
        return frame + lower + _escaped(self.upper) + _escaped(self.work)

    def check_length(self) -> None:
        """Raises RuntimeUnavailable when the kernel would not take so long a list."""
        if self.length() > _PAGE:
            raise RuntimeUnavailable(
                f"{len(self.lower) - 1} layers below so long a path do not fit into one mount "
                f"({self.length()} bytes of {_PAGE})",
                hint="set REPRO_CACHE to a folder with a short path",
            )


@contextlib.contextmanager
def _prepared(launcher: Launcher, request: SandboxRequest) -> Iterator[_Sandbox]:
    """A sandbox that can be started: its folders, its filter, and we as the subreaper."""
    with (
        _trusted(request) as trusted,
        _in_memory(filter_program(os.uname().machine)) as seccomp,
        subreaper(),
        waitable_children(),
    ):
        overlay = Overlay(
            lower=(*map(os.path.realpath, request.layers), os.path.realpath(trusted)),
            upper=os.path.realpath(request.upper),
            work=os.path.realpath(request.work),
        )
        overlay.check_length()
        yield _Sandbox(launcher, request, overlay, seccomp)


class _Sandbox:
    """One start of bwrap and its end."""

    def __init__(
        self, launcher: Launcher, request: SandboxRequest, overlay: Overlay, seccomp: int
    ) -> None:
        self._launcher = launcher
        self._request = request
        self._overlay = overlay
        self._seccomp = seccomp
        self._said_before = _size(request.stderr)
        self._block: int | None = None

    def run(self) -> SandboxResult:
        started = time.monotonic()
        with (
            held(self._request.limits) as group,
            self._watched(bool(self._request.limits)) as watch,
        ):
            return self._wait(watch, started, group)

    def rehearse(self) -> str:
        """bwrap's words when all is as in ``run``, but the command does not exist.

        Nothing of the image is executed: this tells a set-up that fails from a command or
        a folder that is missing.
        """
        with _in_memory(b"") as heard:
            request = replace(
                self._request, argv=[_NOTHING], stdin=None, stdout=heard, stderr=heard
            )
            sandbox = _Sandbox(self._launcher, request, self._overlay, self._seccomp)
            with sandbox._watched() as watch:
                watch.started()
                if not watch.ended(time.monotonic() + _PATIENCE):
                    watch.kill()
                watch.reap()
            return _words_since(heard, 0) or "bwrap did not end and said nothing"

    @contextlib.contextmanager
    def _watched(self, hold: bool = False) -> Iterator[Watch]:
        """Started; with ``hold`` its first process waits for ``_let_go``."""
        status, status_write = os.pipe()
        block, self._block = os.pipe() if hold else (None, None)
        try:
            try:
                process = self._start(status_write, block)
            finally:
                os.close(status_write)
                if block is not None:
                    os.close(block)
            own_group = self._request.stdin is None or self._request.terminal
            with Watch(process.pid, status, own_group=own_group) as watch:
                process.returncode = 0  # Watch waits for it: Popen must not
                yield watch
        finally:
            self._let_go()
            os.close(status)

    def _let_go(self) -> None:
        if self._block is not None:
            os.close(self._block)
            self._block = None

    def _start(self, status: int, block: int | None) -> subprocess.Popen[bytes]:
        # By descriptor: the options (paths of this machine among them) would stand in
        # /proc/1/cmdline inside, and could be longer than the kernel allows. No word holds
        # a NUL (request.check_request): it would begin an option of the archive's making.
        os.lseek(self._seccomp, 0, os.SEEK_SET)
        with _in_memory(b"\0".join(map(os.fsencode, self._options(status, block)))) as options:
            stdin = self._request.stdin
            with in_guise(self._request.guise), no_signal_ignored():
                return subprocess.Popen(
                    [self._launcher.path, "--args", str(options), "--", *self._request.argv],
                    stdin=subprocess.DEVNULL if stdin is None else stdin,
                    stdout=self._request.stdout,
                    stderr=self._request.stderr,
                    env={},
                    cwd="/",
                    close_fds=True,
                    pass_fds=(status, self._seccomp, options, *([] if block is None else [block])),
                    start_new_session=stdin is None or self._request.terminal,
                    preexec_fn=_take_terminal if self._request.terminal else None,
                )

    def _options(self, status: int, block: int | None) -> list[str]:
        """The hardened call of safety.md: nothing is made in, or mounted from, the image."""
        request = self._request
        words = ["--unshare-all", "--unshare-user"]
        uid = str(request.guise.uid)
        words += ["--uid", uid, "--gid", uid, "--hostname", request.guise.host]
        words += ["--die-with-parent", "--clearenv"]
        # A terminal of its own is the command's session's: nothing else reads what it types.
        words += [] if request.terminal else ["--new-session"]
        words += ["--share-net"] if request.network == "host" else []
        for name, value in request.environment.items():
            words += ["--setenv", name, value]
        words += self._overlay.words()
        words += ["--proc", "/proc", *proc_masks(f"{self._overlay.lower[-1]}/run")]
        words += processor_files(request.guise, os.path.dirname(self._overlay.lower[-1]))
        words += ["--dev", "/dev", "--chdir", request.cwd, "--cap-drop", "ALL"]
        words += ["--disable-userns", "--seccomp", str(self._seccomp)]
        words += ["--json-status-fd", str(status)]
        words += ["--block-fd", str(block)] if block is not None else []
        return words

    def _wait(self, watch: Watch, started: float, group: Cgroup | None) -> SandboxResult:
        request = self._request
        deadline = None if request.timeout is None else started + request.timeout
        dog = self._begin(watch, group)
        ended = watch.ended(deadline, dog.look if dog is not None else None, INTERVAL)
        if not ended:
            watch.kill()
        reached = dog.reached if dog is not None else None
        code, usage, inner = watch.reap()
        if code > 0 and ended and not watch.executed():
            raise self._not_started()
        if reached is None and code != 0 and group is not None:
            reached = group.reached()
        read, written = watch.moved or (None, None)
        peaks = [(inner or usage).ru_maxrss * 1024, dog.peak if dog is not None else 0]
        if group is not None:
            peaks.append(group.peak_memory() or 0)
        return SandboxResult(
            exit=128 - code if code < 0 else code,
            timed_out=not ended and reached is None,
            reached=reached,
            cost=Cost(
                wall=time.monotonic() - started,
                cpu_user=usage.ru_utime + (inner.ru_utime if inner else 0),
                cpu_system=usage.ru_stime + (inner.ru_stime if inner else 0),
                peak_memory=max(peaks),
                read=read,
                written=written,
            ),
        )

    def _begin(self, watch: Watch, group: Cgroup | None) -> Watchdog | None:
        """Into its group, then let it go; who looks after what the group does not hold."""
        request = self._request
        started = watch.started() and watch.init is not None
        if started and request.started is not None:
            assert watch.init is not None
            request.started(watch.init)
        if watch.init is None or not request.limits:
            self._let_go()
            return None
        skip: tuple[str, ...] = ()
        if group is not None:
            group.add(watch.init)
            skip = tuple(group.enforces)
        self._let_go()
        return Watchdog(
            watch.init, request.upper, request.limits, skip, (request.stdout, request.stderr)
        )

    def _not_started(self) -> ReproError:
        """Why bwrap ended before the command was executed, from its own words."""
        said = _words_since(self._request.stderr, self._said_before) or self.rehearse()
        folder = _failed_at(said, "Can't chdir to")
        program = _failed_at(said, "execvp")
        if folder is None and program is None:
            return RuntimeUnavailable(
                "bubblewrap could not set up the sandbox",
                hint=explain(said) or "`repro doctor` says what this machine lacks",
                details=[brief(said)],
            )
        what = self._request.argv[0] if folder is None else self._request.cwd
        why = folder or program or ""
        return RerunFailed(
            f"{printable(what, 100)} cannot be started in the sandbox"
            + ("" if _NOTHING in said else f": {printable(why, 60)}"),
            hint="it is not in the archive's image",
            slug="rerun-command",
        )


def _take_terminal() -> None:
    """In the child, which leads a new session: its stdin becomes its controlling terminal."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _failed_at(said: str, what: str) -> str | None:
    """The reason (strerror) when bwrap's last words are about this step."""
    match = re.search(rf"bwrap: {what} .*: ([^:]+)$", said, re.DOTALL)
    return match.group(1) if match else None


@contextlib.contextmanager
def _trusted(request: SandboxRequest) -> Iterator[str]:
    resolver = b""
    if request.network == "host":
        with contextlib.suppress(OSError):
            resolver = Path("/etc/resolv.conf").read_bytes()
    top = fresh_folder(Path(request.upper).parent, "trusted-")
    try:
        make_trusted(top / "root", request.environment.get("HOME", "/"), resolver, request.guise)
        yield str(top / "root")
    finally:
        remove_tree(top)


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


def _escaped(folder: str) -> int:
    """Bytes of a folder in mount options: below /oldroot, with ``\\``, ``,`` and ``:`` escaped."""
    data = os.fsencode(folder)
    return len("/oldroot") + len(data) + sum(data.count(char) for char in b"\\,:")


def _size(fd: int) -> int | None:
    """How much stands in a file so far; None for a pipe or a terminal."""
    status = os.fstat(fd)
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _words_since(fd: int, start: int | None) -> str:
    """What was written to ``fd`` since, when it is a file, else nothing."""
    if start is None:
        return ""
    try:
        with open(f"/proc/self/fd/{fd}", "rb") as stream:
            stream.seek(start)
            return stream.read(10_000).decode("utf-8", "replace").strip()
    except OSError:
        return ""
