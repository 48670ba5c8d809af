"""The ``docker`` program as this user has it, and the daemon that answers it (docker(1))."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from typing import IO, Any

from repro.errors import RuntimeUnavailable
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable
from repro.runtime.docker_image import parsed
from repro.runtime.oci import SEARCH
from repro.runtime.profile import profile

_PATIENCE = 600.0  # seconds for one call; loading an image takes as long as it takes
_PROBE = 20.0
_KEPT = ("HOME", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "XDG_RUNTIME_DIR")
"""What docker itself reads to find its daemon; nothing else of our environment is given."""
_GUARD = """read -r _; "$1" rm --force --volumes "$2" "$2-look" >/dev/null 2>&1
"$1" rmi --force "$3" >/dev/null 2>&1
! "$1" inspect "$2" >/dev/null 2>&1"""


_ABSENT = re.compile(
    rb"Could not find the file |No such container:path: |: not a directory\s*\Z"
    rb"|: file name too long\s*\Z|evalSymlinksInScope: too many links in "
)
"""How docker-cp says that a path leads nowhere (dockerd 20.10 to 28); all else is trouble."""


class _NothingThere(RuntimeUnavailable):
    """The container has nothing at that path."""


@frozen
class Client:
    """A client that its daemon answers: the program's path, the daemon's version."""

    path: str
    version: str

    def call(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Run one command to its end, whatever it says."""
        return subprocess.run(
            [self.path, *words], env=_environment(), capture_output=True,
            stdin=subprocess.DEVNULL, timeout=_PATIENCE,
        )  # fmt: skip

    def must(self, *words: str) -> bytes:
        """The command's output. Raises RuntimeUnavailable when it fails."""
        done = self.call(*words)
        if done.returncode != 0:
            raise _failed(words[0], done.stderr)
        return done.stdout

    def state(self, container: str) -> dict[str, Any]:
        """``State`` of a container; empty when there is none."""
        found = parsed(self.call("inspect", "--type", "container", container).stdout).get("State")
        return found if isinstance(found, dict) else {}

    def written(self, container: str) -> int | None:
        """Bytes in a container's writable layer."""
        done = self.call("inspect", "--size", "--format", "{{.SizeRw}}", container)
        with contextlib.suppress(ValueError):
            return int(done.stdout)
        return None

    def look(self, container: str, path: str) -> tarfile.TarInfo | None:
        """What is at ``path``, links followed; None when docker says that nothing is.

        Raises RuntimeUnavailable when docker cannot say: the daemon is gone, or the container.
        """
        try:
            with (
                self.copied(container, path, "--follow-link") as stream,
                tarfile.open(fileobj=stream, mode="r|") as archive,
            ):
                return archive.next()
        except _NothingThere:
            return None
        except tarfile.TarError as error:
            raise _failed("cp", f"it gave no tar: {error}".encode()) from None

    @contextlib.contextmanager
    def copied(self, container: str, path: str, *options: str) -> Iterator[IO[bytes]]:
        """The tar stream of a path; what is not read of it is dropped.

        Raises RuntimeUnavailable when there is nothing, before any byte is given.
        """
        with self._piped(["cp", *options, f"{container}:{path}", "-"], stdout=subprocess.PIPE) as (
            process, heard,
        ):  # fmt: skip
            assert process.stdout is not None
            if not process.stdout.peek(1):
                process.wait()
                said = heard()
                if _ABSENT.search(said):
                    raise _NothingThere(printable(path, 100))
                raise _failed("cp", said)
            yield process.stdout
            process.stdout.close()
            process.kill()

    @contextlib.contextmanager
    def feed(self, *words: str) -> Iterator[IO[bytes]]:
        """A stream into a command's stdin. Raises RuntimeUnavailable when it fails."""
        with self._piped(list(words), stdin=subprocess.PIPE) as (process, heard):
            assert process.stdin is not None
            try:
                yield process.stdin
                process.stdin.close()
            except BrokenPipeError:
                process.wait()
                raise _failed(words[0], heard()) from None
            if process.wait() != 0:
                raise _failed(words[0], heard())

    @contextlib.contextmanager
    def _piped(self, words: Sequence[str], **streams: Any) -> Iterator[Any]:
        import tempfile

        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                [self.path, *words],
                env=_environment(),
                **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **streams},
                stderr=said,
            )

            def heard() -> bytes:
                said.seek(0)
                return said.read(10_000)

            try:
                yield process, heard
            finally:
                if process.poll() is None:
                    process.kill()
                process.wait()

    def attach(
        self, words: Sequence[str], stdin: int | None, stdout: int, stderr: int
    ) -> subprocess.Popen[bytes]:
        """Start a container and hand its streams through."""
        return subprocess.Popen(
            [self.path, *words],
            env=_environment(),
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=stdin is None,
        )

    def guard(self, container: str, image: str) -> subprocess.Popen[bytes]:
        """A process that removes both when its stdin ends, so also when we are killed."""
        return subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "repro", self.path, container, image],
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def profile(self, folder: str) -> str:
        """The file of our system call filter."""
        path = f"{folder}/seccomp.json"
        with open(path, "w", encoding="utf-8") as stream:
            json.dump(profile(platform.machine()), stream)
        return path


def find_client() -> Client:
    """The first ``docker`` that its daemon answers. Raises RuntimeUnavailable, with its words.

    Of several installed ones an older daemon answers only an older client.
    """
    said = "docker is not installed"
    hint = "apt install docker.io, and be in the group docker"
    for folder in SEARCH.split(":"):
        path = f"{folder}/docker"
        if not os.access(path, os.X_OK):
            continue
        try:
            done = subprocess.run(
                [path, "version", "--format", "{{.Server.Version}} {{.Server.Os}}"],
                env=_environment(), capture_output=True, stdin=subprocess.DEVNULL, timeout=_PROBE,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            said = f"{path} cannot be run: {error}"
            continue
        version, _, system = done.stdout.decode("utf-8", "replace").strip().partition(" ")
        if done.returncode == 0 and version:
            if system != "linux":
                raise RuntimeUnavailable(f"docker's daemon runs {printable(system, 20)}, not linux")
            if not _is_local(path):
                raise RuntimeUnavailable(
                    "docker's daemon is on another machine",
                    hint="unset DOCKER_HOST, or `docker context use default`: what it mounts must "
                    "be files of this machine",
                )
            return Client(path=path, version=version)
        said = printable(done.stderr.decode("utf-8", "replace").strip(), 300)
        hint = "start dockerd (sudo systemctl start docker), and be in the group docker"
    raise RuntimeUnavailable(said, hint=hint)


def _is_local(path: str) -> bool:
    """Whether the daemon is this machine's: by DOCKER_HOST, else by the context in use."""
    host = os.environ.get("DOCKER_HOST")
    if not host:
        done = subprocess.run(
            [path, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"],
            env=_environment(), capture_output=True, stdin=subprocess.DEVNULL, timeout=_PROBE,
        )  # fmt: skip
        said = done.stdout.decode("utf-8", "replace").strip()
        host = said if done.returncode == 0 and said else "unix://"  # clients without contexts
    return host.startswith("unix://")


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {"PATH": SEARCH, **kept}


def _failed(what: str, said: bytes) -> RuntimeUnavailable:
    return RuntimeUnavailable(
        f"`docker {what}` failed",
        hint="`docker info` says more",
        details=[printable(said.decode("utf-8", "replace").strip(), 500)],
    )
