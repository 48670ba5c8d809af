"""Read one file in a sealed child: a library's parser sees that file and nothing else.

One child for each side: a file that takes its reader over can only lie about itself, and does
not know what the other side holds. Children are forks of a process that has loaded the library
and never saw a file (``sealed.py``), so one costs some milliseconds.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO, NoReturn

from repro.compare.base import Beyond, Malformed
from repro.compare.contents import Content
from repro.compare.lockdown import CPU_SECONDS
from repro.compare.wire import MAX_ANSWER, Part, read_leaves, read_parts
from repro.model.ports import OutputFile

SECONDS = 120.0
_BYTES_A_SECOND = 4 << 20
"""So much of a large file is to be read in a second of the processor, or there is no verdict."""
_PIECE = 1 << 20
_LAST_SECONDS = 2.0
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


@contextlib.contextmanager
def parts(name: str, output: OutputFile) -> Iterator[Iterator[tuple[Part, Content]]]:
    """The parts of a large file, read by ``readers/NAME.py`` in a child while they are compared.

    The child holds the file itself, open for reading, or a copy without a name where it is no
    file by itself. Raises as ``reader`` does, in a time that grows with the file's size; a part
    over 256 MiB is Beyond.
    """
    more = output.size // _BYTES_A_SECOND
    with (
        _readable(output) as fd,
        _asked(name, fd, SECONDS + more, CPU_SECONDS + more, in_parts=True) as answer,
    ):
        yield read_parts(answer)


def release() -> None:
    """End all prepared processes; the next file of a format starts one anew."""
    for prepared in _idle.pop(os.getpid(), []):
        prepared.end()


def _answer(name: str, data: bytes, seconds: float) -> bytes:
    with _in_memory(data) as fd, _asked(name, fd, seconds, CPU_SECONDS) as answer:
        return answer.whole()


class _Prepared:
    """A process that has loaded a reader and forks a child for every file."""

    def __init__(self, name: str) -> None:
        self.key = (name, _BOOT)
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            boot = f"{_BOOT}; main({name!r}, {theirs.fileno()})"
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-B", "-c", boot, root],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=_ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )

    def ask(self, file: int, answer: int, seconds: float, *, in_parts: bool) -> None:
        """Have a file read; the answer goes to a pipe. Raises OSError when the process is gone."""
        request = {"seconds": max(1, int(seconds)), "parts": in_parts}
        socket.send_fds(self._requests, [json.dumps(request).encode()], [file, answer])

    def status(self, seconds: float) -> int | None:
        """How the child ended (as ``returncode`` of a Popen); None when it does not end."""
        self._requests.settimeout(seconds)
        try:
            reply = self._requests.recv(64)
            return os.waitstatus_to_exitcode(int(reply))
        except (OSError, ValueError):  # an empty reply: it is gone
            return None

    def end(self) -> None:
        """Kill it, and its child with it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._requests.close()


_idle: dict[int, list[_Prepared]] = {}
"""Prepared processes that read nothing at present, by the process that started them."""
atexit.register(release)


def _borrow(name: str) -> _Prepared:
    # By process: a fork of this one must not talk to what its parent talks to.
    idle = _idle.setdefault(os.getpid(), [])
    for prepared in idle:
        if prepared.key == (name, _BOOT):
            idle.remove(prepared)
            return prepared
    return _Prepared(name)


class _Answer:
    """The answer of a child as it comes; only the time spent waiting for it counts."""

    def __init__(self, fd: int, prepared: _Prepared, seconds: float) -> None:
        self._fd = fd
        self._prepared = prepared
        self._seconds = self._left = seconds
        self._buffer = b""
        self._at = 0
        self.told = False
        """Whether how the child ended was asked for and told."""
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def whole(self) -> bytes:
        """All of it. Raises Beyond when it is too much, too late or not finished."""
        found: list[bytes] = []
        left = MAX_ANSWER
        while piece := self._piece():
            found.append(piece)
            left -= len(piece)
            if left < 0:
                raise Beyond(f"it holds more than {MAX_ANSWER >> 20} MiB of values")
        answer = b"".join(found)
        if not answer.endswith(b"\n"):
            self._say_why()
        return answer

    def readline(self, limit: int, /) -> bytes:
        """A line with its end. Raises Beyond when the child ends or is late."""
        while (end := self._buffer.find(b"\n", self._at, self._at + limit)) < 0:
            if len(self._buffer) - self._at >= limit:
                return b""
            piece = self._piece()
            if not piece:
                self._say_why()
            self._buffer, self._at = self._buffer[self._at :] + piece, 0
        line = self._buffer[self._at : end + 1]
        self._at = end + 1
        return line

    def read(self, size: int, /) -> bytes:
        """So many bytes, fewer at the end. Raises Beyond when the child is late."""
        pieces = [self._buffer[self._at : self._at + size]]
        self._at += len(pieces[0])
        left = size - len(pieces[0])
        while left > 0 and (piece := self._piece()):
            pieces.append(piece[:left])
            if len(piece) > left:
                self._buffer, self._at = piece, left
            left -= len(pieces[-1])
        return b"".join(pieces)

    def _piece(self) -> bytes:
        begin = time.monotonic()
        if not self._poll.poll(max(0.0, self._left) * 1000):
            raise Beyond(f"its reader needs more than {self._seconds:.0f} seconds")
        self._left -= time.monotonic() - begin
        return os.read(self._fd, _PIECE)

    def _say_why(self) -> NoReturn:
        code = self._prepared.status(_LAST_SECONDS)
        self.told = code is not None
        raise Beyond(_ending(code or 0))


@contextlib.contextmanager
def _asked(
    name: str, file: int, seconds: float, processor: float, *, in_parts: bool = False
) -> Iterator[_Answer]:
    prepared = _borrow(name)
    ours, theirs = os.pipe()
    answer = _Answer(ours, prepared, seconds)
    try:
        try:
            prepared.ask(file, theirs, processor, in_parts=in_parts)
        except OSError as error:
            raise Beyond(f"its reader cannot be started ({error.strerror})") from None
        finally:
            os.close(theirs)
        yield answer
    finally:
        # A child that still writes ends now, as nobody reads it; one that does not is killed.
        os.close(ours)
        if answer.told or prepared.status(_LAST_SECONDS) is not None:
            _idle[os.getpid()].append(prepared)
        else:
            prepared.end()


def _ending(code: int) -> str:
    if code == -signal.SIGXCPU:
        return "its reader needs more than its limit of processor time"
    if code == -signal.SIGKILL:
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


@contextlib.contextmanager
def _readable(output: OutputFile) -> Iterator[int]:
    """A descriptor of nothing but the output's bytes, at their beginning and for reading only."""
    with contextlib.closing(output.open()) as stream:
        if _is_file(stream, output.size):
            yield stream.fileno()
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(stream, copy, _PIECE)
            if copy.tell() != output.size:
                raise Beyond("it changed while it was compared")
            copy.seek(0)
            yield copy.fileno()


def _is_file(stream: BinaryIO, size: int) -> bool:
    """Whether a stream's descriptor gives the output and nothing else."""
    try:
        fd = stream.fileno()
        status = os.fstat(fd)
        mode = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
        begins = os.lseek(fd, 0, os.SEEK_CUR) == 0
    except OSError:
        return False
    whole = stat.S_ISREG(status.st_mode) and status.st_size == size
    return whole and begins and mode == os.O_RDONLY
