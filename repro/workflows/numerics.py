"""Which BLAS library a run loaded, and which of its kernels it takes: asked inside the sandbox."""

from __future__ import annotations

import mmap
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from repro.errors import ReproError
from repro.model.limits import NO_LIMITS, Limits
from repro.model.observation import Observation
from repro.model.ports import Sandbox, SandboxRequest
from repro.model.recording import Claims
from repro.primitives.files import open_inside
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable
from repro.workflows.places import scratch

THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "BLIS_NUM_THREADS", "JULIA_NUM_THREADS",
)  # fmt: skip
"""Variables by which libraries take their number of threads."""

_OPENBLAS = re.compile(r"lib[\w.-]*openblas[\w.-]*\.so[\w.]*", re.IGNORECASE)
# LD_PRELOAD parts its list at colons and blanks; what cannot be a file's name is none.
_PATH = re.compile(r"/[^\0:\s\ud800-\udfff]+")
_VERSION = re.compile(rb"OpenBLAS (\d+\.\d+\.[0-9A-Za-z.]{1,12})")
_CORE = re.compile(r"^Core: (\w{1,40})$", re.MULTILINE)
_HARMLESS = (("/usr/bin/true",), ("/bin/true",), ("/bin/sh", "-c", ":"))
_MOST = 4
_PATIENCE = 30.0
_LARGEST = 1 << 30


@frozen
class Blas:
    """An OpenBLAS library: its absolute path in the image, its version and the kernel that it
    takes; None where it did not say."""

    path: str
    version: str | None = None
    kernel: str | None = None

    @property
    def text(self) -> str:
        """``OpenBLAS 0.3.31 (SkylakeX)``."""
        return (
            f"OpenBLAS {self.version or 'of unknown version'} ({self.kernel or 'kernel unknown'})"
        )

    def to_json(self) -> dict[str, Any]:
        """The library inside ``numerics`` of an archive's circumstances."""
        return {"path": self.path, "version": self.version, "kernel": self.kernel}

    @classmethod
    def recorded(cls, circumstances: Mapping[str, Any]) -> tuple[Blas, ...]:
        """Those that an archive names; what is malformed is left out."""
        numerics = circumstances.get("numerics")
        listed = numerics.get("blas") if isinstance(numerics, dict) else None
        found = []
        for item in listed[:_MOST] if isinstance(listed, list) else ():
            path = item.get("path") if isinstance(item, dict) else None
            if isinstance(path, str) and _PATH.fullmatch(path):
                texts = [item.get(name) for name in ("version", "kernel")]
                version, kernel = (t if isinstance(t, str) else None for t in texts)
                found.append(cls(path=path, version=version, kernel=kernel))
        return tuple(found)


def loaded(observation: Observation) -> tuple[str, ...]:
    """The OpenBLAS libraries that the run opened, by path, one for each file name."""
    found: dict[str, str] = {}
    for access in observation.accesses:
        name = os.path.basename(access.path)
        if access.read and _OPENBLAS.fullmatch(name) and _PATH.fullmatch(access.path):
            found.setdefault(name, os.path.normpath(access.path))
    return tuple(found.values())[:_MOST]


class Numerics:
    """Asks an image's BLAS libraries which kernel they take on this machine.

    A library says so at its start when OPENBLAS_VERBOSE is 2; it is loaded into a program
    that does nothing, in the same sandbox and under the same ``limits`` as a rerun. Nothing of
    it runs on the host.
    """

    def __init__(
        self, sandbox: Sandbox, layers: Sequence[str], claims: Claims, runs: Path,
        limits: Limits = NO_LIMITS,
    ) -> None:  # fmt: skip
        self._sandbox = sandbox
        self._layers = layers
        self._claims = claims
        self._runs = runs
        self._limits = limits

    def blas(self, path: str) -> Blas:
        """The library at ``path`` with its version and kernel."""
        return Blas(path=path, version=self._version(path), kernel=self.kernel(path))

    def kernel(self, path: str, wanted: str | None = None) -> str | None:
        """The kernel that the library takes (asked for ``wanted``); None when it does not say."""
        said = {"LD_PRELOAD": path, "OPENBLAS_VERBOSE": "2"}
        if wanted is not None:
            said["OPENBLAS_CORETYPE"] = wanted
        for argv in (*_HARMLESS, *self._interpreters()):
            try:
                heard = self._heard(argv, {**self._claims.environment, **said})
            except ReproError:
                continue  # no such program in this image
            match = _CORE.search(heard)
            return match.group(1) if match else None
        return None

    def loads(self, path: str, lowest: str, variables: Mapping[str, str]) -> bool:
        """Whether the library at ``path``, in the extra lowest layer ``lowest``, starts in a
        program of the image under ``variables``, which preload it. glibc's loader says so."""
        said = {**self._claims.environment, **variables, "LD_DEBUG": "files"}
        begun = re.compile(rf"calling init: {re.escape(path)}$", re.MULTILINE)
        for argv in (*_HARMLESS, *self._interpreters()):
            try:
                heard = self._heard(argv, said, [lowest, *self._layers])
            except ReproError:
                continue  # no such program in this image
            return begun.search(heard) is not None
        return False

    def _interpreters(self) -> Iterator[tuple[str, ...]]:
        """The recorded Python, doing nothing: an image may hold no other program."""
        for step in self._claims.steps:
            if os.path.basename(step.argv[0]).startswith("python"):
                yield (step.argv[0], "-I", "-S", "-c", "")

    def _heard(
        self, argv: Sequence[str], environment: Mapping[str, str],
        layers: Sequence[str] | None = None,
    ) -> str:  # fmt: skip
        with scratch(self._runs, "ask") as folder:
            (folder / "upper").mkdir()
            (folder / "work").mkdir()
            with (folder / "log").open("w+b") as log:
                self._sandbox.run(
                    SandboxRequest(
                        layers=layers or self._layers, upper=str(folder / "upper"),
                        work=str(folder / "work"), argv=argv, environment=environment, cwd="/",
                        stdout=log.fileno(), stderr=log.fileno(), timeout=_PATIENCE,
                        limits=self._limits,
                    )
                )  # fmt: skip
                log.seek(0)
                return log.read(1 << 16).decode("utf-8", "replace")

    def _version(self, path: str) -> str | None:
        """What stands in the library's bytes; it is not executed for that."""
        for layer in reversed(self._layers):
            folder = os.open(layer, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fd = open_inside(folder, path.lstrip("/"), os.O_RDONLY | os.O_NONBLOCK, follow=True)
            except OSError:
                continue
            finally:
                os.close(folder)
            try:
                return _version_in(fd)
            finally:
                os.close(fd)
        return None


def _version_in(fd: int) -> str | None:
    status = os.fstat(fd)
    size = status.st_size
    if not stat.S_ISREG(status.st_mode) or not 0 < size <= _LARGEST:
        return None
    with mmap.mmap(fd, size, access=mmap.ACCESS_READ) as data:
        match = _VERSION.search(data)
        return printable(match.group(1).decode("ascii").rstrip("."), 20) if match else None


def facts(
    asked: Numerics, observation: Observation, claims: Claims, *, processors: int, libc: str
) -> dict[str, Any]:
    """``numerics`` of the circumstances: BLAS with its kernel, libm, threads.

    ``processors`` are those that the run could use; ``libc`` as host_facts has it.
    """
    libm = any(os.path.basename(a.path).startswith("libm.so") for a in observation.accesses)
    return {
        "blas": [asked.blas(path).to_json() for path in loaded(observation)],
        "libm": libc if libm else None,
        "processors": processors,
        "threads": {
            name: claims.environment[name] for name in THREADS if name in claims.environment
        },
    }
