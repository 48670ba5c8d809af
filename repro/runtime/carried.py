"""What a carrier does after the fork: namespaces, mounts, and the engine's calls inside them.

An engine that starts containers (crun, runc, podman, apptainer) is carried: it runs in a pid
and a mount namespace of its own, so that the kernel ends whatever it started and takes back
whatever it mounted, also when we are killed. Two processes: the outer one (the caller's
child) makes the namespaces; the inner one is their process 1. unshare(2), mount(2),
pid_namespaces(7), user_namespaces(7), prctl(2). Nothing is imported after the fork, and
neither process can be looked into from inside (not dumpable, no words, no environment).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import resource
import select
import signal
from collections.abc import Mapping
from typing import NoReturn

from repro.primitives.files import open_inside
from repro.primitives.frozen import frozen
from repro.runtime.rights import DUMPABLE, PDEATHSIG, Stage, give_up_rights, install, prctl

_NEWNS, _NEWUSER, _NEWPID = 0x20000, 0x10000000, 0x20000000
_PRIVATE, _NOSUID, _NODEV, _NOEXEC = (1 << 18) | (1 << 14), 2, 4, 8
_BIND, _REMOUNT, _READ_ONLY = 1 << 12, 32, 1
_ENGINE_FAILED = 70
_ARG_START, _ENV_END = 48, 51  # fields of /proc/PID/stat (proc(5))
_LAST = 10.0  # seconds for an engine's own process to end after the command did

_LIBC = ctypes.CDLL(None, use_errno=True)  # loaded before anything is entered


@frozen
class Load:
    """What is carried, prepared before the fork.

    ``options`` are overlayfs's for a mount at ``point``; the image is then shown at IMAGE.
    ``hidden`` folders get an empty tmpfs over them, /run always; ``files`` are written there.
    ``calls`` make the container and leave its first process's number
    in ``pid_file``; ``start`` lets it go (empty: nothing is to run, the set-up is all). With ``attached`` that call stays until the end and
    its status is the command's, else the command itself is waited for. ``quiet`` calls talk
    into ``said`` (a descriptor) and have no stdin; what an engine wrote into its ``log`` goes
    there as well when it fails. ``uid`` is the caller in a user namespace of the carrier's.
    ``program`` is the system call filter. ``programs`` are where the command may be.
    """

    with_user_namespace: bool
    options: bytes
    point: bytes
    hidden: tuple[bytes, ...]
    files: Mapping[bytes, bytes]
    calls: tuple[tuple[bytes, ...], ...]
    start: tuple[bytes, ...]
    pid_file: bytes | None
    environment: Mapping[bytes, bytes]
    said: int
    cwd: bytes
    programs: tuple[bytes, ...]
    program: bytes
    attached: bool = False
    quiet: bool = False
    log: bytes | None = None
    keeps_cgroups: bool = False
    uid: int = 0


RUN = b"/run"
"""The carrier's own scratch place: a tmpfs that nobody else sees and that ends with it."""
CGROUPS = b"/sys/fs/cgroup"
"""Hidden from an engine, or with ``keeps_cgroups`` read-only for it: which group the command is
in is our affair, and nothing is left there."""
IMAGE = b"/run/image"
"""Where an engine finds the image under its thin writable layer."""


def carry(
    load: Load, streams: tuple[int | None, int, int], status: int, block: int, parent: int
) -> NoReturn:
    """The outer process. Reports on ``status`` as bwrap's ``--json-status-fd`` does.

    ``streams`` are the command's; without a stdin of its own it leads a process group.
    """
    code = _ENGINE_FAILED
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        _die_with(parent)
        status, block = _only_ours(load, streams, status, block)
        _enter(load)
        alive, life = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(life)
            _first(load, status, block, alive)
        os.close(alive)
        _tell(status, {"child-pid": pid})
        os.close(status)
        for fd in (0, 1, 2):
            with contextlib.suppress(OSError):
                os.close(fd)
        prctl("dumpable", DUMPABLE, 0)
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        code = 128 - ended if ended < 0 else ended
    except Stage as failed:
        _tell(status, {"failed": failed.name, "errno": failed.number})
    except BaseException as error:
        _tell(status, {"failed": "carrier", "errno": getattr(error, "errno", 0) or 0})
    finally:
        os._exit(code)


def _only_ours(
    load: Load, streams: tuple[int | None, int, int], status: int, block: int
) -> tuple[int, int]:
    """The command's streams as 0 to 2, and nothing else that an engine could inherit."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    copies = [os.dup(nothing if fd is None else fd) for fd in streams]
    status, block = os.dup(status), os.dup(block)
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            os.set_inheritable(int(name), False)
    for number, fd in enumerate(copies):
        os.dup2(fd, number)
    os.setsid() if streams[0] is None else None
    os.chdir("/")
    kept = {0, 1, 2, load.said, status, block}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if int(name) not in kept:
                os.close(int(name))
    return status, block


def _die_with(parent: int) -> None:
    prctl("pdeathsig", PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(_ENGINE_FAILED)


def _enter(load: Load) -> None:
    uid, gid = os.geteuid(), os.getegid()
    flags = _NEWNS | _NEWPID | (_NEWUSER if load.with_user_namespace else 0)
    if _LIBC.unshare(flags) != 0:
        raise Stage("namespaces", ctypes.get_errno())
    if load.with_user_namespace:
        try:
            _write("/proc/self/setgroups", b"deny")
            _write("/proc/self/uid_map", b"%d %d 1\n" % (load.uid, uid))
            _write("/proc/self/gid_map", b"%d %d 1\n" % (load.uid, gid))
        except OSError as error:
            raise Stage("uid map", error.errno or 0) from None


def _first(load: Load, status: int, block: int, alive: int) -> NoReturn:
    """Process 1 of the carrier's pid namespace."""
    code = _ENGINE_FAILED
    try:
        prctl("pdeathsig", PDEATHSIG, signal.SIGKILL)
        if select.select([alive], [], [], 0)[0]:
            os._exit(_ENGINE_FAILED)  # the outer one was killed before it could take us along
        _without_words()
        prctl("dumpable", DUMPABLE, 0)
        _mounts(load)
        _look(load)
        code = _container(load, status, block)
    except Stage as failed:
        _tell(status, {"failed": failed.name, "errno": failed.number})
    except BaseException as error:
        _tell(status, {"failed": "inside", "errno": getattr(error, "errno", 0) or 0})
    finally:
        os._exit(code)


def _mounts(load: Load) -> None:
    _mount("private", b"none", b"/", b"", _PRIVATE, b"")
    _mount("mount proc", b"proc", b"/proc", b"proc", _NOSUID | _NODEV | _NOEXEC, b"")
    _mount("overlay", b"overlay", load.point, b"overlay", 0, load.options)
    # By descriptor: the layers may lie below a folder that is hidden now.
    image = os.open(load.point, os.O_PATH | os.O_DIRECTORY)
    if load.keeps_cgroups:
        _closed_cgroups()
    hidden = load.hidden if load.keeps_cgroups else (*load.hidden, CGROUPS)
    for folder in (RUN, *hidden):
        if os.path.isdir(folder):
            _mount("tmpfs", b"tmpfs", folder, b"tmpfs", _NOSUID | _NODEV, b"mode=755")
    os.mkdir(IMAGE, 0o755)
    _mount("image", b"/proc/self/fd/%d" % image, IMAGE, b"", _BIND, b"")
    os.close(image)
    for path, data in load.files.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(data)
            os.fchmod(stream.fileno(), 0o755)


def _closed_cgroups() -> None:
    """Mounted, but not to be written to: runc does not start where it finds none at all."""
    with open("/proc/self/mountinfo", "rb") as stream:
        lines = [line.partition(b" - ") for line in stream.read().splitlines()]
    for before, _, after in lines:
        if after.split()[:1] in ([b"cgroup"], [b"cgroup2"]):
            flags = _REMOUNT | _BIND | _READ_ONLY | _NOSUID | _NODEV | _NOEXEC
            _mount("cgroup", b"none", before.split()[4], b"", flags, b"")


def _look(load: Load) -> None:
    """Whether the folder and the program are in the image, before an engine is asked.

    No link leads out of the image. An engine would only say it in words of its own.
    """
    root = os.open(IMAGE, os.O_PATH | os.O_DIRECTORY)
    try:
        try:
            os.close(_inside(root, load.cwd, os.O_PATH | os.O_DIRECTORY))
        except OSError as error:
            raise Stage("chdir", error.errno or 0) from None
        found = errno.ENOENT
        for program in load.programs:
            place = program if program.startswith(b"/") else load.cwd + b"/" + program
            try:
                fd = _inside(root, place, os.O_PATH)
            except OSError as error:
                found = errno.EACCES if error.errno == errno.EACCES else found
                continue
            mode = os.fstat(fd).st_mode
            os.close(fd)
            if mode & 0o170000 == 0o100000 and mode & 0o111:
                return
            found = errno.EACCES
        raise Stage("exec", found)
    finally:
        os.close(root)


def _inside(root: int, path: bytes, flags: int) -> int:
    return open_inside(root, os.fsdecode(path).lstrip("/") or ".", flags, follow=True)


def _container(load: Load, status: int, block: int) -> int:
    for argv in load.calls:
        if _call(argv, load, quiet=load.quiet) != 0:
            raise _failed(load)
    pid = None
    if load.pid_file is not None:
        with open(load.pid_file, "rb") as stream:
            pid = int(stream.read())
        _tell(status, {"inner-pid": pid})
    os.read(block, 1)  # until our caller has put it where its limits are held
    if not load.start:
        return _ended(status, 0, None)
    if load.attached:
        _tell(status, {"started": 1})
        return _attached(load, status)
    if _call(load.start, load, quiet=False, program=load.program) != 0:
        raise _failed(load)
    _tell(status, {"started": 1})
    while True:
        ended, code, usage = os.wait4(-1, 0)
        if ended == pid:
            return _ended(status, os.waitstatus_to_exitcode(code), usage)


def _failed(load: Load) -> Stage:
    if load.log is not None:
        with contextlib.suppress(OSError), open(load.log, "rb") as stream:
            os.write(load.said, stream.read(10_000))
    return Stage("engine", 0)


def _attached(load: Load, status: int) -> int:
    """The engine's own process stays; what it leaves (a monitor) holds what was used."""
    code = _call(load.start, load, quiet=False)
    usage = None
    with contextlib.suppress(ChildProcessError):
        signal.setitimer(signal.ITIMER_REAL, _LAST)
        signal.signal(signal.SIGALRM, lambda *_: os._exit(_ENGINE_FAILED))
        while True:
            _, _, seen = os.wait4(-1, 0)
            if usage is None or seen.ru_utime + seen.ru_stime > usage.ru_utime + usage.ru_stime:
                usage = seen
    return _ended(status, code, usage)


def _ended(status: int, code: int, usage: resource.struct_rusage | None) -> int:
    said: dict[str, float] = {"exit-code": 128 - code if code < 0 else code}
    if usage is not None:
        said |= {"peak": usage.ru_maxrss * 1024, "user": usage.ru_utime, "system": usage.ru_stime}
    _tell(status, said)
    return int(said["exit-code"])


def _call(argv: tuple[bytes, ...], load: Load, *, quiet: bool, program: bytes | None = None) -> int:
    """Run one command of the engine to its end.

    With ``program`` it waits until we have given our own rights up, for what it starts can
    see us: then we are under the same filter and have no capability.
    """
    ready, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(go)
            os.read(ready, 1)
            _execute(argv, load, quiet=quiet)
        finally:
            os._exit(127)
    os.close(ready)
    if program is not None:
        give_up_rights()
        install(program)
    os.close(go)
    # For this one alone: a short command may have ended before the engine's call has.
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return 128 - status if status < 0 else status


def _execute(argv: tuple[bytes, ...], load: Load, *, quiet: bool) -> None:
    if quiet:
        nothing = os.open("/dev/null", os.O_RDONLY)
        for number, fd in ((0, nothing), (1, load.said), (2, load.said)):
            os.dup2(fd, number)
    for signals in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE,
                    signal.SIGXFSZ, signal.SIGALRM):  # fmt: skip
        signal.signal(signals, signal.SIG_DFL)
    os.execve(argv[0], argv, load.environment)


def _without_words() -> None:
    """No word of our command line and environment can be read in /proc/1 (they lie there)."""
    with open("/proc/self/stat", "rb") as stream:
        fields = stream.read().rpartition(b")")[2].split()
    places = [int(fields[number - 3]) for number in range(_ARG_START, _ENV_END + 1)]
    for start, end in (places[:2], places[2:]):
        if 0 < start < end:
            ctypes.memset(start, 0, end - start)


def _mount(name: str, what: bytes, at: bytes, kind: bytes, flags: int, data: bytes) -> None:
    if _LIBC.mount(what, at, kind, ctypes.c_ulong(flags), data) != 0:
        raise Stage(name, ctypes.get_errno())


def _write(path: str, data: bytes) -> None:
    with open(path, "wb", buffering=0) as stream:
        stream.write(data)


def _tell(status: int, said: Mapping[str, object]) -> None:
    with contextlib.suppress(OSError):
        os.write(status, json.dumps(said).encode() + b"\n")
