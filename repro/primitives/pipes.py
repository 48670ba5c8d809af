"""Work on a stream in threads: read ahead, and hash on the side.

hashlib, zstandard and file reads release the interpreter lock, so that threads of
one process keep several cores busy.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Generator, Iterable

from repro.primitives.digest import Digest


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def ahead(chunks: Iterable[bytes], depth: int = 4) -> Generator[bytes, None, None]:
    """``chunks``, produced in a thread at most ``depth`` ahead of the consumer.

    What the producer raises is raised here. Closing the iterator ends the thread.
    """
    lane: queue.Queue[bytes | _Failure | None] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: bytes | _Failure | None) -> None:
        while not stop.is_set():
            try:
                lane.put(item, timeout=0.2)
                return
            except queue.Full:
                continue

    def produce() -> None:
        try:
            for chunk in chunks:
                put(chunk)
                if stop.is_set():
                    return
            put(None)
        except BaseException as error:
            put(_Failure(error))

    thread = threading.Thread(target=produce, daemon=True)
    thread.start()
    try:
        while (item := lane.get()) is not None:
            if isinstance(item, _Failure):
                raise item.error
            yield item
    finally:
        stop.set()
        thread.join()


class SideHash:
    """A sha256 that runs in its own thread; ``finish`` waits for it."""

    def __init__(self) -> None:
        self._running = hashlib.sha256()
        self._lane: queue.Queue[bytes | memoryview | None] = queue.Queue(8)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (chunk := self._lane.get()) is not None:
            self._running.update(chunk)

    def update(self, chunk: bytes | memoryview) -> None:
        """Add a chunk; it must not be changed afterwards."""
        self._lane.put(chunk)

    def finish(self) -> Digest:
        """The digest of all chunks; ends the thread. May be called again."""
        if self._thread.is_alive():
            self._lane.put(None)
        self._thread.join()
        return Digest(self._running.hexdigest())
