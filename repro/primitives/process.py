"""Run a trusted program of the host to its end: environment, time limit, output."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Finished:
    """How a command ended; ``exit`` is 127 when it could not be started, 124 on time-out."""

    exit: int
    stdout: bytes
    stderr: bytes


def run(
    argv: Sequence[str], *, cwd: str, environment: Mapping[str, str], timeout: float
) -> Finished:
    """Run ``argv`` (no shell) with an empty stdin; never raises for what the command does."""
    try:
        done = subprocess.run(
            list(argv),
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Finished(exit=124, stdout=b"", stderr=b"time limit")
    except OSError as error:
        return Finished(exit=127, stdout=b"", stderr=str(error).encode())
    return Finished(exit=done.returncode, stdout=done.stdout, stderr=done.stderr)
