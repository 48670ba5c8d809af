"""Whether compiled Python files (.pyc) say what their sources say.

No publisher ships them. Each source is compiled again, on this machine, by a Python with the same
magic number, in a sealed child; both results are compared as bytes, no object is made of the
archive's.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from repro.model.origin import FileNote
from repro.model.packed import PackedFiles
from repro.pin.marshalled import Unreadable, meaning
from repro.primitives.frozen import frozen
from repro.primitives.pycache import source_of
from repro.workflows.compiling import HELLO, JOB, SIZE

_TAG = re.compile(r".*\.cpython-(\d)(\d+)(?:\.opt-([12]))?\.pyc")
_PLACES = "/usr/local/bin:/usr/bin:/bin"
_HEADER = 16
_BATCH_FILES, _BATCH_BYTES = 200, 4 << 20
_LARGEST_ANSWER = 512 << 20
_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); from repro.workflows.compiling import main; main()"
)
STALE = "Python passes them over: they do not belong to their sources"
UNKEPT = "they or their sources are too large, or hard links"
FAILED = "their sources cannot be compiled here"
UNREADABLE = "their form is not that of a compiled module"


@frozen
class Compiled:
    """``proven`` say what their sources say, ``differs`` do not; ``unproven`` counts by reason."""

    proven: int = 0
    differs: tuple[FileNote, ...] = ()
    unproven: Mapping[str, int]

    @property
    def total(self) -> int:
        """All compiled files that have a source."""
        return self.proven + len(self.differs) + sum(self.unproven.values())


class Spill:
    """Sources and compiled files of an image, in a file without a name while they are needed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)
        self._places: dict[str, tuple[int, int]] = {}

    def wants(self, path: str) -> bool:
        """Whether a file of the image is kept."""
        return path.endswith(".py") or source_of(path) is not None

    def put(self, path: str, data: bytes) -> None:
        """Keep the bytes; a path of a higher layer stands before a lower one's."""
        self._places[path] = (self._file.seek(0, os.SEEK_END), len(data))
        self._file.write(data)

    def get(self, path: str, sha256: str | None) -> bytes | None:
        """The bytes with this hash; None when they were not kept."""
        if path not in self._places:
            return None
        start, size = self._places[path]
        self._file.flush()
        data = os.pread(self._file.fileno(), size, start)
        return data if hashlib.sha256(data).hexdigest() == sha256 else None

    def close(self) -> None:
        """Give the space back."""
        self._file.close()


@frozen
class _Job:
    path: str
    source: str
    optimize: int


def check_compiled(
    files: PackedFiles, spill: Spill, releases: Iterable[str], progress: Callable[[int, int], None]
) -> Compiled:
    """Compile every source again whose compiled file the image holds.

    ``releases`` are the Pythons of the image (``3.11.2``): where the one of this machine is
    another release of the same magic number, a difference proves nothing.
    """
    tally = _Tally(frozenset(releases))
    jobs = list(_jobs(files))
    done = 0
    for version in sorted({key for key, _ in jobs}):
        own = [job for key, job in jobs if key == version]
        program = _program(version)
        if program is None:
            reason = f"Python {version[0]}.{version[1]} is not on this machine"
            tally.unproven(reason, len(own))
            done += len(own)
            continue
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            batches = list(_batches(files, own))
            work = pool.map(partial(_batch, program, version, files, spill), batches)
            for batch, answers in zip(batches, work, strict=True):
                for job, answer in zip(batch, answers, strict=True):
                    tally.take(job, answer)
                done += len(batch)
                progress(done, len(jobs))
    return tally.finish()


def _jobs(files: PackedFiles) -> Iterator[tuple[tuple[int, int], _Job]]:
    for path, file in files.items():
        source = source_of(path)
        match = _TAG.fullmatch(path) if source is not None else None
        if source is None or match is None or file.kind != "file" or files.get(source) is None:
            continue
        version = (int(match.group(1)), int(match.group(2)))
        yield version, _Job(path=path, source=source, optimize=int(match.group(3) or 0))


def _program(version: tuple[int, int]) -> str | None:
    if sys.version_info[:2] == version and sys.implementation.name == "cpython":
        return sys.executable
    return shutil.which(f"python{version[0]}.{version[1]}", path=_PLACES)


def _batches(files: PackedFiles, jobs: Sequence[_Job]) -> Iterator[list[_Job]]:
    batch: list[_Job] = []
    size = 0
    for job in jobs:
        source = files.get(job.source)
        batch.append(job)
        size += source.size if source is not None else 0
        if len(batch) >= _BATCH_FILES or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@frozen
class _Answer:
    """``same`` is None when nothing can be said, for the reason ``why``; ``release`` compiled."""

    same: bool | None
    why: str = ""
    release: str = ""


def _batch(
    program: str, version: tuple[int, int], files: PackedFiles, spill: Spill, jobs: Sequence[_Job]
) -> list[_Answer]:
    found: dict[str, _Answer] = {}
    work: list[tuple[_Job, bytes, bytes]] = []
    for job in jobs:
        both = [spill.get(path, getattr(files.get(path), "sha256", None))
                for path in (job.path, job.source)]  # fmt: skip
        if both[0] is None or both[1] is None:
            found[job.path] = _Answer(same=None, why=UNKEPT)
        else:
            work.append((job, both[0], both[1]))
    while work:
        magic, release, codes = _compile(program, [(job, source) for job, _, source in work])
        if not magic:
            for job, _, _ in work:
                found[job.path] = _Answer(same=None, why="no sealed child could be started")
            break
        for (job, data, source), code in zip(work, codes, strict=False):
            found[job.path] = _judged(data, source, code, magic, release, version)
        rest = work[len(codes) :]
        if rest:  # the child crashed over the first of them
            found[rest[0][0].path] = _Answer(same=None, why=FAILED)
        work = rest[1:]
    return [found[job.path] for job in jobs]


def _judged(
    data: bytes, source: bytes, code: bytes, magic: bytes, release: str, version: tuple[int, int]
) -> _Answer:
    if data[:4] != magic:
        return _Answer(same=None, why=f"Python {release} of this machine has another magic number")
    flags = data[4:8]
    if len(data) < _HEADER or flags not in (bytes(4), b"\1\0\0\0", b"\3\0\0\0"):
        return _Answer(same=None, why=STALE)
    if flags == bytes(4) and data[12:16] != (len(source) & 0xFFFFFFFF).to_bytes(4, "little"):
        return _Answer(same=None, why=STALE)
    if not code:
        return _Answer(same=None, why=FAILED)
    if data[_HEADER:] == code:
        return _Answer(same=True, release=release)
    try:
        expected = meaning(code, version)
    except Unreadable:
        return _Answer(same=None, why=f"code of Python {release} is not understood")
    try:
        return _Answer(same=meaning(data[_HEADER:], version) == expected, release=release)
    except Unreadable:
        return _Answer(same=False, why=UNREADABLE, release=release)


def _compile(program: str, jobs: Sequence[tuple[_Job, bytes]]) -> tuple[bytes, str, list[bytes]]:
    """Magic number, release and the codes of as many jobs as the child lived for."""
    root = str(Path(__file__).resolve().parents[2])
    with tempfile.TemporaryFile() as words:
        for job, source in jobs:
            name = os.fsencode(job.source)
            words.write(JOB.pack(job.optimize, len(name), len(source)) + name + source)
        words.seek(0)
        child = subprocess.Popen(
            [program, "-I", "-S", "-B", "-c", _BOOT, root], stdin=words,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/",
            env={"LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}, start_new_session=True,
        )  # fmt: skip
        try:
            assert child.stdout is not None
            data = child.stdout.read(_LARGEST_ANSWER)
        finally:
            child.kill()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()
    return _parts(data, len(jobs))


def _parts(data: bytes, most: int) -> tuple[bytes, str, list[bytes]]:
    if len(data) < HELLO.size:
        return b"", "", []
    magic, release = HELLO.unpack_from(data)
    codes: list[bytes] = []
    at = HELLO.size
    while at + SIZE.size <= len(data) and len(codes) < most:
        (size,) = SIZE.unpack_from(data, at)
        at += SIZE.size
        if at + size > len(data):
            break
        codes.append(data[at : at + size])
        at += size
    return magic, release.rstrip(b"\0").decode("ascii", "replace"), codes


class _Tally:
    def __init__(self, releases: frozenset[str]) -> None:
        self._releases = releases
        self._proven = 0
        self._differs: list[FileNote] = []
        self._unproven: dict[str, int] = {}

    def unproven(self, reason: str, count: int = 1) -> None:
        self._unproven[reason] = self._unproven.get(reason, 0) + count

    def take(self, job: _Job, answer: _Answer) -> None:
        if answer.same is None:
            self.unproven(answer.why)
        elif answer.same:
            self._proven += 1
        elif answer.release not in self._releases:
            own = " or ".join(sorted(self._releases)) or "of an unknown release"
            self.unproven(
                f"they are not what Python {answer.release} of this machine makes of their "
                f"sources, but the archive's Python is {own}"
            )
        else:
            why = answer.why or f"not what Python {answer.release} makes of {job.source}"
            self._differs.append(FileNote(path=job.path, why=why))

    def finish(self) -> Compiled:
        return Compiled(
            proven=self._proven, unproven=dict(sorted(self._unproven.items())),
            differs=tuple(sorted(self._differs, key=lambda note: note.path)),
        )  # fmt: skip
