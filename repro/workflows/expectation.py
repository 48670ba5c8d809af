"""What a rerun will cost by the author's recording, said before it begins."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from repro.model.recording import Recording
from repro.primitives.frozen import frozen
from repro.primitives.texts import human_size, human_time


@frozen
class Expectation:
    """Seconds and peak memory (bytes) of the author's run, None where not recorded; bytes
    that the results take on the disk."""

    seconds: float | None
    memory: int | None
    disk: int

    def sentence(self) -> str:
        """For people, before the run."""
        time = "time unknown" if self.seconds is None else f"about {human_time(self.seconds)}"
        memory = "memory unknown" if self.memory is None else f"{human_size(self.memory)} memory"
        return f"{time} · {memory} · {human_size(self.disk)} of results (the author's run)"

    def shortages(self, folder: Path) -> Iterator[str]:
        """What this machine seems to have too little of; ``folder`` is where the run writes."""
        free = shutil.disk_usage(folder).free
        if self.disk > free:
            yield f"the results take {human_size(self.disk)}, the disk has {human_size(free)} left"
        here = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if self.memory is not None and self.memory > here:
            yield (
                f"the author's run took {human_size(self.memory)} of memory, this machine has "
                f"{human_size(here)}"
            )


def expectation(recording: Recording, steps: Collection[str], disk: int) -> Expectation:
    """What the named steps took when they were recorded; ``disk`` is given."""
    listed = recording.circumstances.get("steps")
    costs = [
        cost
        for cost in (listed if isinstance(listed, list) else [])
        if isinstance(cost, dict) and cost.get("name") in steps
    ]
    seconds = [
        found for found in (_number(cost.get("seconds")) for cost in costs) if found is not None
    ]
    peaks: list[int] = [cost["peak_memory"] for cost in costs if _is_size(cost.get("peak_memory"))]
    return Expectation(
        seconds=round(sum(seconds), 3) if seconds else None,
        memory=max(peaks, default=None),
        disk=disk,
    )


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53


def _number(value: object) -> float | None:
    """Seconds as an archive has them: text, not trusted."""
    try:
        found = float(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and 0 <= found < 1e9 else None
