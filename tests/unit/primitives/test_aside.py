from __future__ import annotations

import threading
import time

import pytest

from repro.primitives.aside import Aside, in_threads


def test_a_value_and_an_error_come_back() -> None:
    with Aside(lambda: 3) as aside:
        assert aside.result() == 3 == aside.result()

    def fails() -> int:
        raise OSError("x")

    with Aside(fails) as failing, pytest.raises(OSError):
        failing.result()


def test_it_is_waited_for_when_the_caller_fails() -> None:
    ended = []

    def slow() -> None:
        time.sleep(0.05)
        ended.append(1)

    with pytest.raises(ValueError), Aside(slow):
        raise ValueError
    assert ended


def test_values_in_order_and_never_more_than_so_many_at_once() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def call(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1
        return number

    assert in_threads([lambda n=n: call(n) for n in range(20)], 3) == list(range(20))  # type: ignore[misc]
    assert most == 3
    assert in_threads([], 3) == []


def test_after_an_error_nothing_new_begins() -> None:
    begun = []

    def call(number: int) -> None:
        begun.append(number)
        if number == 1:
            raise OSError("x")
        time.sleep(0.02)

    with pytest.raises(OSError):
        in_threads([lambda n=n: call(n) for n in range(50)], 2)  # type: ignore[misc]
    assert len(begun) < 6
    assert threading.active_count() < 10
