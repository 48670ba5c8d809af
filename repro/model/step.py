"""A step of an analysis: what is run, how it ended, what it used."""

from __future__ import annotations

from repro.primitives.frozen import frozen


@frozen
class Cost:
    """What a run used: seconds, bytes. None where it was not measured.

    ``read`` and ``written`` are what its programs handed over by read(2) and write(2).
    """

    wall: float
    cpu_user: float | None = None
    cpu_system: float | None = None
    peak_memory: int | None = None
    read: int | None = None
    written: int | None = None


@frozen
class StepSeen:
    """How one step ended: ``exit`` is the status, 128+N for a signal; ``tail`` its last lines.

    ``reached`` names the limit (memory, pids, disk) that ended it. ``time_limit`` is the one
    it had, in seconds.
    """

    name: str
    exit: int
    cost: Cost
    tail: tuple[str, ...] = ()
    timed_out: bool = False
    reached: str | None = None
    time_limit: float | None = None


@frozen
class Step:
    """One command of the analysis.

    ``argv`` is executed as it is (no shell); ``cwd`` is relative to the project root.
    ``notebook`` names the notebook a step executes, relative to the project root.
    ``timeout`` is in seconds. ``stdin`` is the absolute path, free of links, of the file
    that it reads as its standard input, from the start, as it was before the run.
    """

    name: str
    argv: tuple[str, ...]
    cwd: str = "."
    notebook: str | None = None
    needs: tuple[str, ...] = ()
    timeout: float | None = None
    stdin: str | None = None
