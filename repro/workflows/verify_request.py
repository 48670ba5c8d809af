"""What to verify, and how."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from repro.model.limits import NO_LIMITS, Limits
from repro.model.outcome import Outcome
from repro.primitives.frozen import frozen
from repro.workflows.opened import Opened, Opening


@frozen
class VerifyRequest:
    """What to verify and how. ``timeout`` in seconds limits each step.

    ``limits`` stand before the archive's own; ``full_seal`` refuses a run of which something
    is not enforced. ``only`` are patterns of the outputs to be judged; none: all. ``pin_cpu``:
    when outputs drift, rerun once more as the recorded processor would. ``opening`` opens it.
    """

    archive: Path
    tag: str | None
    environ: Mapping[str, str]
    machine: str
    required: Outcome = Outcome.CLOSE
    timeout: float | None = None
    limits: Limits = NO_LIMITS
    full_seal: bool = False
    engine: str | None = None
    network: str = "none"
    reviewer: Mapping[str, object] | None = None
    only: tuple[str, ...] = ()
    pin_cpu: bool = False
    opening: Opening = Opened
