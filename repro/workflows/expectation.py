"""What a rerun will cost by the author's recording, said before it begins."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from repro.model.recording import Recording
from repro.model.usage import Usage
from repro.primitives.frozen import frozen
from repro.primitives.texts import human_size, human_time


@frozen
class Expectation:
    """What the author's run used, where that was recorded; bytes that the results take on the
    disk."""

    usage: Usage
    disk: int

    @property
    def seconds(self) -> float | None:
        """Of the author's run; None where not recorded."""
        return self.usage.seconds

    @property
    def memory(self) -> int | None:
        """The author's peak in bytes; None where not recorded."""
        return self.usage.peak_memory

    def sentence(self) -> str:
        """For people, before the run."""
        time = "time unknown" if self.seconds is None else f"about {human_time(self.seconds)}"
        memory = "memory unknown" if self.memory is None else f"{human_size(self.memory)} memory"
        return f"{time} · {memory} · {human_size(self.disk)} of results (the author's run)"

    def shortages(self, folder: Path) -> Iterator[str]:
        """What this machine seems to have too little of; ``folder`` is where the run writes."""
        disk = os.statvfs(folder)
        free = disk.f_bavail * disk.f_frsize
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
    usage = Usage.recorded(recording.circumstances.get("steps"), steps)
    return Expectation(usage=usage, disk=disk)
