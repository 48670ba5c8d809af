"""Calls in threads of their own, for where ``concurrent.futures`` would cost a start 4 ms.

It loads ``logging``, which nothing else before a rerun needs (docs/decisions/0005).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Aside(Generic[T]):
    """One call beside the caller. As a context it is waited for, whatever happens."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._value: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value.append(self._call())
        except BaseException as error:
            self._error = error

    def __enter__(self) -> Aside[T]:
        return self

    def __exit__(self, *exception: object) -> None:
        self._thread.join()

    def result(self) -> T:
        """The call's value, or its error raised here."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value[0]


def in_threads(calls: Sequence[Callable[[], T]], most: int) -> list[T]:
    """The values in order, at most ``most`` calls at once; after the first error none begins.

    Raises that error when all that had begun have ended.
    """
    found: dict[int, T] = {}
    failed = threading.Event()
    lock = threading.Lock()
    left: Iterator[tuple[int, Callable[[], T]]] = iter(enumerate(calls))

    def work() -> None:
        while not failed.is_set():
            with lock:
                number, call = next(left, (-1, None))
            if call is None:
                return
            try:
                found[number] = call()
            except BaseException:
                failed.set()
                raise

    workers = [Aside(work) for _ in range(min(most, len(calls)))]
    try:
        for worker in workers:
            worker.result()
    finally:
        failed.set()
        for worker in workers:
            worker.__exit__()
    return [found[number] for number in range(len(calls))]
