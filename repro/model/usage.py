"""What a run used, all its steps together, and the same of the author's run beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from repro.model.step import Cost
from repro.primitives.frozen import frozen
from repro.primitives.texts import human_size, human_time

_MOST_SECONDS = 1e9
_MOST_BYTES = 1 << 53


@frozen
class Usage:
    """Seconds of the clock and of processors, bytes of memory, bytes read and written.

    ``peak_memory`` is the most of any step. ``read`` and ``written`` are what programs handed
    over by read(2) and write(2), pipes among it; what is mapped is not counted. None where not
    measured, of one step at least.
    """

    seconds: float | None = None
    cpu: float | None = None
    peak_memory: int | None = None
    read: int | None = None
    written: int | None = None

    @classmethod
    def of(cls, costs: Iterable[Cost]) -> Usage:
        """Of the steps that ran."""
        listed = list(costs)
        return cls(
            seconds=_sum(cost.wall for cost in listed),
            cpu=_sum(_cpu(cost.cpu_user, cost.cpu_system) for cost in listed),
            peak_memory=max((c.peak_memory for c in listed if c.peak_memory), default=None),
            read=_sum(cost.read for cost in listed),
            written=_sum(cost.written for cost in listed),
        )

    @classmethod
    def recorded(cls, steps: object, names: Collection[str] | None = None) -> Usage:
        """Of ``steps`` of an archive's circumstances (not trusted), those called ``names``."""
        listed = [
            step
            for step in (steps if isinstance(steps, list) else [])
            if isinstance(step, dict) and (names is None or step.get("name") in names)
        ]
        seconds = [_number(step.get("seconds")) for step in listed]
        peaks = [_size(step.get("peak_memory")) for step in listed]
        return cls(
            seconds=_sum(found for found in seconds if found is not None),
            cpu=_sum(_cpu(_number(s.get("cpu_user")), _number(s.get("cpu_system"))) for s in listed),
            peak_memory=max((peak for peak in peaks if peak is not None), default=None),
            read=_sum(_size(step.get("read_bytes")) for step in listed),
            written=_sum(_size(step.get("written_bytes")) for step in listed),
        )  # fmt: skip

    def text(self, author: Usage | None = None) -> str:
        """For people, with the author's figures in brackets: ``cpu 0.3s (0.2s) · …``."""
        return " · ".join(self._parts(author or Usage()))

    def _parts(self, author: Usage) -> Iterator[str]:
        for name, show, here, there in (
            ("time", human_time, self.seconds, author.seconds),
            ("cpu", human_time, self.cpu, author.cpu),
            ("peak memory", human_size, self.peak_memory, author.peak_memory),
            ("read", human_size, self.read, author.read),
            ("written", human_size, self.written, author.written),
        ):
            if here is not None:
                yield f"{name} {_beside(show, here, there)}"

    def to_json(self) -> dict[str, Any]:
        """By the names of ``repro.verify/1``."""
        return {
            "seconds": self.seconds,
            "cpu_seconds": self.cpu,
            "peak_memory": self.peak_memory,
            "read_bytes": self.read,
            "written_bytes": self.written,
        }


def _beside(show: Callable[[Any], str], here: float, there: float | None) -> str:
    return show(here) + (f" ({show(there)})" if there is not None else "")


def _cpu(user: float | None, system: float | None) -> float | None:
    return None if user is None or system is None else user + system


def _sum(values: Iterable[Any]) -> Any:
    """Their sum; None when there is none, or one is not known."""
    listed = list(values)
    if not listed or any(value is None for value in listed):
        return None
    total = sum(listed)
    return round(total, 3) if isinstance(total, float) else total


def _size(value: object) -> int | None:
    plain = isinstance(value, int) and not isinstance(value, bool)
    return value if plain and isinstance(value, int) and 0 <= value < _MOST_BYTES else None


def _number(value: object) -> float | None:
    """Seconds as an archive has them: text, not trusted."""
    try:
        found = float(value) if isinstance(value, str) else None
    except ValueError:
        return None
    fine = found is not None and math.isfinite(found) and 0 <= found < _MOST_SECONDS
    return found if fine else None
