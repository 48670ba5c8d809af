"""One command more inside a running sandbox: its namespaces are entered, then every right given up.

setns(2), user_namespaces(7), capabilities(7), seccomp(2), prctl(2). Two processes: the outer
one enters, makes the inner one (only a child is in the entered pid namespace) and waits for
it. From the moment of entering until the command is executed nothing is imported or read: the
files seen are the archive's. No process inside can look into ours meanwhile: they are not
dumpable (ptrace(2)), and /proc/PID/exe of the inner one cannot be opened (CVE-2019-5736).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import select
import signal
import time
from typing import NoReturn

from repro.errors import ReproError, RerunFailed, RuntimeUnavailable
from repro.model.ports import JoinRequest, SandboxResult
from repro.model.step import Cost
from repro.primitives.frozen import frozen
from repro.primitives.process import waitable_children
from repro.primitives.texts import printable
from repro.runtime.cgroups import follow
from repro.runtime.rights import DUMPABLE, PDEATHSIG, Stage, give_up_rights, install, prctl
from repro.runtime.watchdog import INTERVAL, Watchdog

_NAMESPACES = {"user": 0x10000000, "mnt": 0x20000, "uts": 0x4000000, "ipc": 0x8000000,
               "pid": 0x20000000, "net": 0x40000000, "cgroup": 0x2000000}  # fmt: skip
_REPORT = 4096


@frozen
class _Prepared:
    """All that is needed inside, ready as bytes and numbers before anything is entered."""

    init: int
    namespaces: int
    root: tuple[int, int]
    parent: int
    cwd: bytes
    programs: tuple[bytes, ...]
    argv: tuple[bytes, ...]
    environment: dict[bytes, bytes]
    program: bytes
    stdin: int
    stdout: int
    stderr: int


def join(request: JoinRequest, program: bytes) -> SandboxResult:
    """Run to the end; ``program`` is the system call filter (``seccomp.filter_program``).

    What the command leaves running stays until the sandbox ends. Raises RuntimeUnavailable,
    RerunFailed.
    """
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        stack.enter_context(waitable_children())
        init = _open(request.init, stack)
        nothing = os.open(os.devnull, os.O_RDONLY)
        stack.callback(os.close, nothing)
        prepared = _prepare(request, init, program, nothing)
        outer = _Outer(prepared)
        try:
            held = follow(outer.pid, request.init)
            inner = outer.enter()
            dog = Watchdog(inner, request.upper, request.limits, held) if request.limits else None
            code = outer.wait(dog)
        except BaseException:
            outer.kill()
            raise
    return SandboxResult(
        exit=code,
        reached=dog.reached if dog is not None else None,
        cost=Cost(wall=time.monotonic() - started),
    )


def _open(pid: int, stack: contextlib.ExitStack) -> int:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        raise _gone() from None
    stack.callback(os.close, fd)
    return fd


def _prepare(request: JoinRequest, init: int, program: bytes, nothing: int) -> _Prepared:
    try:
        wanted = 0
        for name, flag in _NAMESPACES.items():
            # Our own user namespace cannot be entered again, an open network need not be.
            if (
                os.stat(f"/proc/{request.init}/ns/{name}").st_ino
                != os.stat(f"/proc/self/ns/{name}").st_ino
            ):
                wanted |= flag
        root = os.stat(f"/proc/{request.init}/root")
    except FileNotFoundError:
        raise _gone() from None
    if wanted & _NAMESPACES["mnt"] == 0 or wanted & _NAMESPACES["pid"] == 0:
        raise RuntimeUnavailable("the process to join is in no sandbox", slug="container-join")
    environment = {**request.environment, "PWD": request.cwd}
    first = os.fsencode(request.argv[0])
    folders = os.fsencode(environment.get("PATH", "/bin:/usr/bin")).split(b":")
    programs = (first,) if b"/" in first else tuple(f + b"/" + first for f in folders if f)
    return _Prepared(
        init=init,
        namespaces=wanted,
        root=(root.st_dev, root.st_ino),
        parent=os.getpid(),
        cwd=os.fsencode(request.cwd),
        programs=programs,
        argv=tuple(map(os.fsencode, request.argv)),
        environment={os.fsencode(n): os.fsencode(v) for n, v in environment.items()},
        program=program,
        stdin=nothing if request.stdin is None else request.stdin,
        stdout=request.stdout,
        stderr=request.stderr,
    )


class _Outer:
    """The outer process as its parent sees it; it waits for ``enter``."""

    def __init__(self, prepared: _Prepared) -> None:
        self._argv = prepared.argv
        self._cwd = prepared.cwd
        self.inner: int | None = None
        go, self._go = os.pipe()
        self._report, report = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _outer(prepared, go, report)
        os.close(go)
        os.close(report)

    def enter(self) -> int:
        """Let it go on until the command runs; the inner process's number."""
        os.write(self._go, b"g")
        os.close(self._go)
        self._go = -1
        said = b""
        while piece := os.read(self._report, _REPORT):
            said += piece
        words = said.split()
        if len(words) >= 2 and words[0] == b"pid":
            self.inner, words = int(words[1]), words[2:]
        if words or self.inner is None:
            raise self._refused(words)
        return self.inner

    def wait(self, dog: Watchdog | None) -> int:
        """The command's exit status, 128+N for a signal; 137 when ``dog`` ended it."""
        fd = os.pidfd_open(self.pid)
        try:
            while not select.select([fd], [], [], None if dog is None else INTERVAL)[0]:
                if dog is not None and dog.look():
                    self.kill()
                    return 128 + signal.SIGKILL
        finally:
            os.close(fd)
        _, status = os.waitpid(self.pid, 0)
        self._close()
        return os.waitstatus_to_exitcode(status)

    def kill(self) -> None:
        """End the command with its process group, and the outer process."""
        if self.inner is not None:
            # The outer process has not waited for it yet: the number is still its own.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.inner, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self._close()

    def _close(self) -> None:
        for fd in (self._go, self._report):
            if fd >= 0:
                os.close(fd)
        self._go = self._report = -1

    def _refused(self, words: list[bytes]) -> ReproError:
        stage = words[0].decode("ascii", "replace") if words else "start"
        why = os.strerror(int(words[1])) if len(words) > 1 and words[1].isdigit() else "ended"
        if stage in ("chdir", "exec"):
            what = self._cwd if stage == "chdir" else self._argv[0]
            return RerunFailed(
                f"{printable(os.fsdecode(what), 100)} cannot be started in the sandbox: {why}",
                hint="it is not in the container",
                slug="rerun-command",
            )
        return RuntimeUnavailable(
            f"the running sandbox cannot be joined ({stage}: {why})",
            hint="stop it first: the command then gets a sandbox of its own over the same layer",
            slug="container-join",
        )


_LIBC = ctypes.CDLL(None, use_errno=True)  # loaded before anything is entered


def _outer(prepared: _Prepared, go: int, report: int) -> NoReturn:
    status = 70
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM,
                       signal.SIGPIPE, signal.SIGXFSZ):  # fmt: skip
            signal.signal(number, signal.SIG_DFL)
        _only_ours(prepared)
        if os.read(go, 1) == b"g":
            status = _enter(prepared, report)
    except Stage as failed:
        os.write(report, failed.line)
    except BaseException:
        os.write(report, b"start 0\n")
    finally:
        os._exit(status)


def _only_ours(prepared: _Prepared) -> None:
    """Its input and output, and nothing else that the command could inherit."""
    copies = [os.dup(fd) for fd in (prepared.stdin, prepared.stdout, prepared.stderr)]
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            os.set_inheritable(int(name), False)
    for number, fd in enumerate(copies):
        os.dup2(fd, number)
        os.close(fd)
    os.setsid()


def _enter(prepared: _Prepared, report: int) -> int:
    prctl("dumpable", DUMPABLE, 0)
    if _LIBC.setns(prepared.init, prepared.namespaces) != 0:
        raise Stage("setns", ctypes.get_errno())
    root = os.stat("/")
    if (root.st_dev, root.st_ino) != prepared.root:
        raise Stage("root", errno.EXDEV)
    prctl("pdeathsig", PDEATHSIG, signal.SIGKILL)
    if os.getppid() != prepared.parent:
        os._exit(70)
    alive, life = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(life)
        _inner(prepared, report, alive)
    os.close(alive)
    give_up_rights()
    os.write(report, f"pid {pid}\n".encode())
    os.close(report)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return 128 - code if code < 0 else code


def _inner(prepared: _Prepared, report: int, alive: int) -> NoReturn:
    try:
        os.setsid()
        give_up_rights()
        prctl("pdeathsig", PDEATHSIG, signal.SIGKILL)
        if select.select([alive], [], [], 0)[0]:
            os._exit(70)  # the outer one was killed before it could take us along
        try:
            os.chdir(prepared.cwd)
        except OSError as error:
            raise Stage("chdir", error.errno or 0) from None
        install(prepared.program)
        _execute(prepared)
    except Stage as failed:
        os.write(report, failed.line)
    except BaseException:
        os.write(report, b"inside 0\n")
    finally:
        os._exit(70)


def _execute(prepared: _Prepared) -> NoReturn:
    """As execvp(3) does it, a script without a first line included."""
    found = errno.ENOENT
    for program in prepared.programs:
        try:
            os.execve(program, prepared.argv, prepared.environment)
        except OSError as error:
            if error.errno == errno.ENOEXEC:
                argv = (b"sh", program, *prepared.argv[1:])
                os.execve(b"/bin/sh", argv, prepared.environment)
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                raise Stage("exec", error.errno or 0) from None
            if error.errno == errno.EACCES:
                found = errno.EACCES
    raise Stage("exec", found)


def _gone() -> RuntimeUnavailable:
    return RuntimeUnavailable(
        "the sandbox to join has ended", hint="try again", slug="container-join"
    )
