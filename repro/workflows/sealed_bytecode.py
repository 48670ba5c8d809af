"""Bytecode compiled again by the image's own interpreter, inside the sandbox, never on the host.

The same interpreter with the same modules loaded gives the same bytes; each module is compiled
in a process of its own, since what marshal writes depends on what was loaded before. Cached
bytecode is not read: it may not be there yet.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from repro.errors import RerunFailed
from repro.image.pieces import Piece, Pool
from repro.image.thinning import PYC_HEADER
from repro.model.limits import NO_LIMITS, Limits
from repro.model.ports import Sandbox, SandboxRequest
from repro.primitives.aside import Aside
from repro.primitives.frozen import frozen
from repro.primitives.pycache import source_of
from repro.primitives.texts import printable
from repro.workflows.rerun import REACHED, make_layer

_TAG = re.compile(r"/.*\.cpython-(\d)(\d+)(?:\.opt-([12]))?\.pyc")
_PROGRAM = re.compile(r"/(?:[^/]+/)*bin/python(\d\.\d+)")
_TIMEOUT = 1800.0
_LARGEST = 64 << 20
_PIECE = 1 << 20
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin", "HOME": "/tmp", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": "/nonexistent",
}  # fmt: skip
# A small interpreter package has neither json nor py_compile. Where they are they are loaded:
# the names that they hold decide, with others, what marshal writes as a reference.
_SCRIPT = """
import marshal, os, sys
try:
    import json, py_compile
except ImportError:
    pass
jobs = sys.stdin.buffer.read().split(bytes(1))[:-1]
width, running = len(os.sched_getaffinity(0)), 0
for number, job in enumerate(jobs):
    if running >= width:
        os.wait()
        running -= 1
    if os.fork() == 0:
        try:
            source = os.fsdecode(job[1:])
            with open(source, "rb") as stream:
                text = stream.read()
            code = compile(text, source, "exec", dont_inherit=True, optimize=int(job[:1]))
            with open("/tmp/%d.code" % number, "wb") as stream:
                stream.write(marshal.dumps(code))
        except Exception:
            pass
        finally:
            os._exit(0)
    running += 1
while running:
    os.wait()
    running -= 1
for number in range(len(jobs)):
    try:
        with open("/tmp/%d.code" % number, "rb") as stream:
            data = stream.read()
        os.unlink("/tmp/%d.code" % number)
    except OSError:
        data = b""
    sys.stdout.buffer.write(len(data).to_bytes(8, "big") + data)
"""


@frozen
class Job:
    """A module to compile: ``size`` bytes of code are expected, by the program of this number."""

    source: str
    optimize: int
    program: int
    size: int


def bytecode_of(
    entries: Iterable[Mapping[str, Any]], programs: Mapping[str, int], without: Mapping[str, object]
) -> dict[str, Job]:
    """The cached bytecode of one layer's file list whose source lies in the same layer.

    ``programs`` are numbers by Python's version, ``without`` files, by sha256, that come from
    elsewhere.
    """
    files = {"/" + str(entry["path"]): entry for entry in entries if "sha256" in entry}
    found = {}
    for path, entry in files.items():
        match, source = _TAG.fullmatch(path), source_of(path)
        if match is None or source not in files or entry["sha256"] in without:
            continue
        number = programs.get(f"{match.group(1)}.{match.group(2)}")
        size = int(entry["size"]) - PYC_HEADER
        if number is not None and 0 < size <= _LARGEST and source is not None:
            optimize = int(match.group(3) or 0)
            found[path] = Job(source=source, optimize=optimize, program=number, size=size)
    return found


def programs_in(entries: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """One CPython for each version (``3.11``) that an image holds, by absolute path."""
    found: dict[str, str] = {}
    for entry in entries:
        path = "/" + str(entry.get("path"))
        match = _PROGRAM.fullmatch(path) if "sha256" in entry else None
        if match:
            found.setdefault(match.group(1), path)
    return found


def compile_sealed(
    sandbox: Sandbox,
    layers: Sequence[Path],
    programs: Sequence[str],
    jobs: Sequence[Job],
    folder: Path,
    pool: Pool,
    limits: Limits = NO_LIMITS,
    timeout: float | None = None,
) -> dict[Job, Piece]:
    """Compile modules of an unpacked image; the code of those that have the expected size.

    ``folder`` is an existing empty one for the sandbox; ``limits`` and
    ``timeout`` (seconds; half an hour when not given) hold for each interpreter.
    Raises RuntimeUnavailable, RerunFailed.
    """
    make_layer(folder)
    found: dict[Job, Piece] = {}
    for number, program in enumerate(programs):
        own = [job for job in jobs if job.program == number]
        if own:
            keep = partial(_keep, own, pool, found)
            _compile(sandbox, layers, program, own, folder, keep, limits, timeout or _TIMEOUT)
    return found


def _keep(jobs: Sequence[Job], pool: Pool, found: dict[Job, Piece], stream: BinaryIO) -> None:
    """What the program sends: for each job eight bytes of length, and as many bytes."""
    for job in jobs:
        length = int.from_bytes(stream.read(8), "big")
        if length > _LARGEST:
            return
        chunks = _exactly(stream, length)
        if length == job.size:
            piece = pool.add(chunks)
            if piece is not None and piece.size == job.size:
                found[job] = piece
        else:
            for _ in chunks:
                pass


def _exactly(stream: BinaryIO, count: int) -> Iterator[bytes]:
    while count and (data := stream.read(min(count, _PIECE))):
        count -= len(data)
        yield data


def _compile(
    sandbox: Sandbox,
    layers: Sequence[Path],
    program: str,
    jobs: Sequence[Job],
    folder: Path,
    keep: Any,
    limits: Limits,
    timeout: float,
) -> None:
    reading, writing = os.pipe()
    with contextlib.ExitStack() as stack:
        received = Aside(partial(_receive, reading, keep))
        stack.callback(received.result)  # after the writing end is closed, or it would wait
        ended = stack.enter_context(_closed(writing))
        words = stack.enter_context(tempfile.TemporaryFile())
        words.write(b"".join(b"%d%s\0" % (job.optimize, os.fsencode(job.source)) for job in jobs))
        words.seek(0)
        log = stack.enter_context(tempfile.TemporaryFile())
        result = sandbox.run(
            SandboxRequest(
                layers=[str(layer) for layer in layers],
                upper=str(folder / "upper"),
                work=str(folder / "work"),
                argv=[program, "-s", "-S", "-c", _SCRIPT],
                environment=_ENVIRONMENT,
                cwd="/",
                stdin=words.fileno(),
                stdout=writing,
                stderr=log.fileno(),
                timeout=timeout,
                limits=limits,
            )
        )
        ended()
        if result.exit != 0:
            log.seek(0)
            tail = log.read(4096).decode("utf-8", "replace").splitlines()[-5:]
            why, hint = f"exit {result.exit}", None
            if result.timed_out:
                why, hint = f"not done after {timeout:g} s", "give it more: --timeout"
            elif result.reached:
                why, hint = REACHED[result.reached], f"give it more: --{result.reached}"
            raise RerunFailed(
                f"{printable(program)} of the image cannot compile bytecode ({why})",
                details=[printable(line) for line in tail],
                hint=hint,
                slug="bytecode",
            )


def _receive(fd: int, keep: Any) -> None:
    with os.fdopen(fd, "rb") as stream:
        keep(stream)


@contextlib.contextmanager
def _closed(fd: int) -> Iterator[Any]:
    """A descriptor that is closed once, early or at the end."""
    left = [fd]

    def close() -> None:
        while left:
            os.close(left.pop())

    try:
        yield close
    finally:
        close()
