"""Work that goes on when the command line has ended (daemon(7), SysV style)."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from repro.errors import Interrupted


def detach(work: Callable[[], None], log: Path) -> None:
    """Do ``work`` in a process of its own; comes back as soon as that is on its way.

    It has an own session and no terminal, ``/`` as its folder, nothing as its input and
    ``log`` as its output. Of what is open it keeps only what this program opened itself:
    nobody's pipe stays open for it. To be called with one thread.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        # The kernel keeps no status where our caller ignores SIGCHLD.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            _settle(log)
            work()
    except Interrupted:
        pass
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(0)


def _settle(log: Path) -> None:
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    os.dup2(nothing, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(nothing)
    os.close(out)
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        # Python opens everything closed on exec (PEP 446): what is not came from our caller.
        with contextlib.suppress(OSError):
            if fd > 2 and os.get_inheritable(fd):
                os.close(fd)
