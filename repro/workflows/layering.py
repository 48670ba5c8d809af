"""The layers of a plan: taken where they were packed before, else packed, several at once.

Processes and not threads: a layer goes from its files to its blob in one thread, which waits
for no other (docs/decisions/0013).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from repro.errors import StorageError
from repro.image.build import BuiltLayer, build_layer
from repro.image.plan import PlannedLayer, plain_files
from repro.image.reuse import MOST, Reuse, State
from repro.primitives.events import Observer, Tally, Told, done
from repro.primitives.forked import Ended, Tell, alone, in_processes
from repro.primitives.frozen import frozen
from repro.primitives.texts import human_size

_WORTH_PROCESSES = 16_000_000
"""Bytes of files from which on processes are started: below they cost more than they save."""
_MOST_PROCESSES = 8
_INTERVAL = 0.05


@frozen
class Settings:
    """How layers are packed: ``clamp`` in seconds; ``reuse`` is None with ``--paranoid``."""

    clamp: int
    level: int
    reuse: Reuse | None


@frozen
class _Done:
    """A layer; what it can be found by later, when it may be kept since ``began`` (seconds)."""

    built: BuiltLayer
    known: bool = False
    state: State | None = None
    began: float = 0.0


def pack_layers(
    plan: Sequence[PlannedLayer], folder: Path, settings: Settings, observer: Observer
) -> list[BuiltLayer]:
    """The blobs of all layers in ``folder``, in the plan's order. Raises what build_layer raises."""
    started = time.monotonic()
    weights = [plain_files(planned) for planned in plan]
    told = Tally(
        "pack", sum(size for size, _ in weights), observer, files=sum(n for _, n in weights)
    )
    found = _packed(plan, [size for size, _ in weights], folder, settings, told)
    for each, weight in zip(found, weights, strict=True):
        if each.known:
            told.add(*weight)
    if settings.reuse is not None and not all(each.known for each in found):
        with contextlib.suppress(OSError):  # a cache that refuses is no error
            settings.reuse.prune(MOST)
    built = [each.built for each in found]
    size = sum(each.layer.descriptor.size for each in built)
    own = sum(e.layer.descriptor.size for e in built if e.layer.kind in ("code", "data"))
    text = f"{len(built)} layers · {human_size(size)} (project and data {human_size(own)})"
    known = sum(each.known for each in found)
    if known:
        text += f" · {known} unchanged"
    observer(done("pack", text, time.monotonic() - started))
    return built


def _packed(
    plan: Sequence[PlannedLayer], sizes: Sequence[int], folder: Path, settings: Settings,
    told: Tally,
) -> list[_Done]:  # fmt: skip
    processors = len(os.sched_getaffinity(0))
    # One more than can work at once: while one waits for the disk, another packs.
    processes = min(processors + 1, _MOST_PROCESSES, len(plan))
    if processors < 2 or processes < 2 or sum(sizes) < _WORTH_PROCESSES or not alone():
        return [_kept(_layer(planned, folder, settings, told, None), settings) for planned in plan]
    # The largest first, so that all end at about the same time.
    order = sorted(range(len(plan)), key=lambda number: -sizes[number])
    fair = sum(sizes) / processors
    calls = [
        # One that is larger than a process's share needs the other processors as well.
        _call(plan[number], folder, settings, None if sizes[number] > fair else 1)
        for number in order
    ]

    def heard(number: int, counts: tuple[int, int]) -> None:
        told.text = plan[order[number]].name
        told.add(*counts)

    def came(number: int, made: _Done) -> None:
        _kept(made, settings)

    try:
        values = in_processes(calls, processes, heard, came)
    except Ended as ending:
        raise StorageError(
            f"packing stopped: {ending}", hint="is there enough memory? see `dmesg`"
        ) from ending
    by_number = dict(zip(order, values, strict=True))
    return [by_number[number] for number in range(len(plan))]


def _call(
    planned: PlannedLayer, folder: Path, settings: Settings, threads: int | None
) -> Callable[[Tell], _Done]:
    def work(tell: Tell) -> _Done:
        far = _Far(tell)
        made = _layer(planned, folder, settings, far, threads)
        far.send()
        return made

    return work


class _Far:
    """Tells another process, not too often."""

    def __init__(self, tell: Tell) -> None:
        self.text = ""
        self._tell = tell
        self._count = self._files = 0
        self._next = 0.0

    def add(self, count: int, files: int = 0) -> None:
        self._count += count
        self._files += files
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _INTERVAL
            self.send()

    def send(self) -> None:
        self._tell((self._count, self._files))
        self._count = self._files = 0


def _layer(
    planned: PlannedLayer, folder: Path, settings: Settings, told: Told, threads: int | None
) -> _Done:
    """A packed layer, taken when it was packed before from the same unchanged files."""
    reuse = settings.reuse

    def look() -> State | None:
        if reuse is None:
            return None
        return reuse.state(planned, clamp=settings.clamp, level=settings.level)

    state = look()
    found = reuse.find(state.key, folder) if reuse is not None and state is not None else None
    if found is not None:
        return _Done(built=found, known=True)
    began = time.time()
    built = build_layer(
        planned, folder, clamp=settings.clamp, level=settings.level, told=told, threads=threads
    )
    lasting = state is not None and look() == state
    return _Done(built=built, state=state if lasting else None, began=began)


def _kept(made: _Done, settings: Settings) -> _Done:
    """The same, to be found by the next snapshot: this one may be killed before its end.

    In one process alone: what is kept and not yet noted looks like rubbish to ``prune``.
    """
    if settings.reuse is not None and made.state is not None:
        settings.reuse.keep(made.state, made.built, made.began)
    return made
