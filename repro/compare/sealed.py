"""What runs in the sealed process: prepare a reader once, then a locked fork for every file.

The prepared process loads a library and never touches a file; each file is read by a fresh
fork of it, which sees that file and a pipe, answers and ends. No fork has a descriptor of, or
memory in common with, another one, so that a file which takes its reader over changes nothing
that a later one is read by.
"""

from __future__ import annotations

import codecs
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, NoReturn, Union

from repro.compare import lockdown
from repro.compare.base import Beyond, Malformed
from repro.compare.contents import Leaf
from repro.compare.wire import Part, write_failure, write_leaves

Reader = Callable[[], Iterable[Union[tuple[str, Leaf], Part]]]  # noqa: UP007 - an alias at run time
"""Reads the descriptor after the lock; opens nothing."""
Prepared = Callable[[int, bool], Reader]
"""What ``start()`` of a reader gives: told a descriptor, and whether to answer part by part."""
_FILE = 3


def main(name: str, control: int) -> None:
    """Serve requests of socket ``control`` by ``repro.compare.readers.NAME`` until it closes.

    A request is a line of JSON with two descriptors: the file, and where the answer goes. The
    reply is the wait status of the fork that read it.
    """
    with socket.socket(fileno=control) as requests:
        prepared = _prepare(name)
        gc.freeze()  # what is never collected is never copied by a fork
        while True:
            message, fds, _, _ = socket.recv_fds(requests, 4096, 2)
            if not message or len(fds) != 2:
                os._exit(0)
            pid = os.fork()
            if pid == 0:
                _read_and_end(prepared, fds, json.loads(message))
            for fd in fds:
                os.close(fd)
            requests.send(b"%d" % _wait(pid, requests))


def _wait(pid: int, requests: socket.socket) -> int:
    """The status of a fork, which does not outlive the one who asked for it."""
    with contextlib.suppress(OSError):  # before Linux 5.3
        fd = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.register(requests, select.POLLHUP)
        if fd not in dict(poll.poll()):
            os.kill(pid, signal.SIGKILL)
        os.close(fd)
    return os.waitpid(pid, 0)[1]


def _prepare(name: str) -> Prepared | Beyond:
    """The reader with its library loaded and used once, or why there is none."""
    try:
        module: Any = importlib.import_module(f"repro.compare.readers.{name}")
        prepared: Prepared = module.start()
    except ImportError as error:
        library = str(error.name).split(".")[0]
        return Beyond(f"its reader needs {library}: install repro[{module.EXTRA}]")
    except Exception as error:
        return Beyond(f"its reader failed: {type(error).__name__}: {str(error)[:200]}")
    for codec in ("ascii", "latin-1", "utf-8", "utf-16", "utf-32", "unicode_escape"):
        codecs.lookup(codec)  # loaded when first used, which is too late after the lock
    return prepared


def _read_and_end(prepared: Prepared | Beyond, fds: list[int], request: dict[str, Any]) -> NoReturn:
    """Keep two descriptors, lock, read, answer. The answer's last line tells what went wrong."""
    file, answer = fds
    os.dup2(answer, 1)
    if file != _FILE:
        os.dup2(file, _FILE)
    os.closerange(_FILE + 1, 1024)
    with os.fdopen(1, "wb", closefd=False) as stream:
        try:
            if isinstance(prepared, Beyond):
                raise prepared
            _read(prepared, stream, request)
        except Malformed as error:
            write_failure(stream, "malformed", str(error))
        except Beyond as error:
            write_failure(stream, "beyond", str(error))
        except MemoryError:
            text = f"its reader needs more than {lockdown.MEMORY >> 20} MiB of memory"
            write_failure(stream, "beyond", text)
        except Exception as error:  # a reader's crash must never decide a verdict
            text = f"its reader failed: {type(error).__name__}: {str(error)[:200]}"
            write_failure(stream, "beyond", text)
        finally:
            with contextlib.suppress(OSError):
                stream.flush()
            os._exit(0)


def _read(prepared: Prepared, stream: BinaryIO, request: dict[str, Any]) -> None:
    read = prepared(_FILE, bool(request["parts"]))
    lockdown.limit(int(request["seconds"]), os.fstat(_FILE).st_size if request["parts"] else 0)
    try:
        lockdown.lock()
    except OSError as error:
        raise Beyond(f"this machine cannot seal its reader ({error.strerror})") from None
    write_leaves(stream, read())
