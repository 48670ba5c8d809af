"""Read one file in a sealed child: a library's parser sees that file and nothing else.

One child for each side: a file that takes its reader over can only lie about itself, and does
not know what the other side holds.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from repro.compare.base import Beyond, Malformed
from repro.compare.contents import Content
from repro.compare.wire import MAX_ANSWER, read_leaves

SECONDS = 120.0
_PIECE = 1 << 20
# -I leaves out the environment, the user's own packages and the current folder; the folder
# that this very package came from is named instead, last.
_BOOT = "import sys; sys.path.append(sys.argv.pop(1)); from repro.compare.sealed import main"
_ENVIRONMENT = {
    "LC_ALL": "C.UTF-8", "TZ": "UTC", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system", "HDF5_USE_FILE_LOCKING": "FALSE",
    "HDF5_PLUGIN_PRELOAD": "::",
}  # fmt: skip


def reader(
    name: str, magic: tuple[bytes, ...] = (), *, seconds: float = SECONDS
) -> Callable[[bytes], Content]:
    """A function that reads a file's bytes by ``readers/NAME.py`` in a child of its own.

    A file that begins with none of ``magic`` is Malformed without a child.

    It raises Malformed for what is not of the format; Beyond for a missing library, a
    crash, more than 2 GiB of memory, more than ``seconds``, or an answer over 320 MiB.
    """

    def read(data: bytes) -> Content:
        if magic and not data.startswith(magic):
            raise Malformed(f"it does not begin like {name}")
        return read_leaves(_answer(name, data, seconds))

    return read


def _answer(name: str, data: bytes, seconds: float) -> bytes:
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with _in_memory(data) as fd:
        boot = f"{_BOOT}; main({name!r}, {fd})"
        child = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", boot, root],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(fd,),
            env=_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )
        try:
            answer = _collect(child, seconds)
        finally:
            child.kill()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()
    if not answer.endswith(b"\n"):
        raise Beyond(_ending(child.returncode))
    return answer


def _collect(child: subprocess.Popen[bytes], seconds: float) -> bytes:
    assert child.stdout is not None
    fd = child.stdout.fileno()
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    deadline = time.monotonic() + seconds
    parts: list[bytes] = []
    left = MAX_ANSWER
    while True:
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise Beyond(f"its reader needs more than {seconds:.0f} seconds")
        piece = os.read(fd, _PIECE)
        if not piece:
            child.wait(timeout=max(1.0, deadline - time.monotonic()))
            return b"".join(parts)
        parts.append(piece)
        left -= len(piece)
        if left < 0:
            raise Beyond(f"it holds more than {MAX_ANSWER >> 20} MiB of values")


def _ending(code: int) -> str:
    if code == -24:
        return "its reader needs more than its limit of processor time"
    if code == -9:
        return "its reader was killed (memory?)"
    if code < 0:
        return f"its reader crashed (signal {-code})"
    return f"its reader ended early (exit {code})"


@contextlib.contextmanager
def _in_memory(data: bytes) -> Iterator[int]:
    """The bytes as a sealed file in memory, so that no path leads to it."""
    fd = os.memfd_create("compared", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(fd), "wb") as stream:
            stream.write(data)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)
