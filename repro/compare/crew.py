"""Many pairs judged at once: forks of this process take them from one queue.

What one pair does to its judge changes no other verdict: a pair whose judge dies is judged
again alone, and UNDECIDED if that judge dies too.
"""

from __future__ import annotations

import dataclasses
import json
import os
import select
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from repro.compare import child
from repro.model.outcome import Outcome
from repro.model.verdict import Comparison, Difference, Numbers, OutputVerdict
from repro.primitives.files import write_all
from repro.primitives.forked import fork, let_interruptions_end_it

Job = Callable[[], OutputVerdict]
_MOST_WORKERS = 8
_FEW_PAIRS, _FEW_BYTES = 64, 128 << 20
_LENGTH = 8
_TOKEN = 4
_TOKENS = 4096
"""So many fit into a pipe at once."""


def workers(pairs: int, size: int) -> int:
    """How many processes are worth it for so many pairs of ``size`` bytes in all; 1 for this one.

    As many as this process may use processors, at most 8: each may need some 100 MB.
    """
    if pairs < 2 or (pairs < _FEW_PAIRS and size < _FEW_BYTES) or threading.active_count() > 1:
        return 1
    return min(len(os.sched_getaffinity(0)), _MOST_WORKERS, pairs)


def judge_all(
    jobs: Sequence[Job], count: int, undecided: Callable[[int], OutputVerdict]
) -> list[OutputVerdict]:
    """What every job gives, in their order, by ``count`` processes.

    A job may raise, which is raised here. ``undecided`` gives the verdict of a pair whose
    judge was killed twice.
    """
    if count < 2:
        return [job() for job in jobs]
    found = _in_forks(jobs, list(range(len(jobs))), count)
    for number in range(len(jobs)):
        if number not in found:
            again = _in_forks(jobs, [number], 1)
            found[number] = again.get(number) or undecided(number)
    return [found[number] for number in range(len(jobs))]


def _in_forks(jobs: Sequence[Job], numbers: list[int], count: int) -> dict[int, OutputVerdict]:
    """What forks found out; numbers that are missing have killed theirs."""
    step = -(-len(numbers) // _TOKENS)
    shares = [numbers[start : start + step] for start in range(0, len(numbers), step)]
    queue, fill = os.pipe()
    os.write(fill, b"".join(share.to_bytes(_TOKEN, "little") for share in range(len(shares))))
    os.close(fill)
    answers: dict[int, bytearray] = {}
    pids: list[int] = []
    try:
        for _ in range(min(count, len(shares))):
            ours, theirs = os.pipe()
            answers[ours] = bytearray()
            pid = fork()
            if pid == 0:
                _work(jobs, shares, queue, theirs)
            pids.append(pid)
            os.close(theirs)
        _collect(answers)
    finally:
        os.close(queue)
        for fd in answers:
            os.close(fd)
        for pid in pids:
            _end(pid)
    found: dict[int, OutputVerdict] = {}
    for answer in answers.values():
        found.update(_read(bytes(answer), jobs))
    return found


def _collect(answers: dict[int, bytearray]) -> None:
    poll = select.poll()
    for fd in answers:
        poll.register(fd, select.POLLIN)
    left = len(answers)
    while left:
        for fd, _ in poll.poll():
            piece = os.read(fd, 1 << 20)
            answers[fd] += piece
            if not piece:
                poll.unregister(fd)
                left -= 1


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)  # not yet waited for, so the number is still its own
    os.waitpid(pid, 0)


def _work(jobs: Sequence[Job], shares: list[list[int]], queue: int, answer: int) -> NoReturn:
    try:
        let_interruptions_end_it()
        while token := os.read(queue, _TOKEN):
            for number in shares[int.from_bytes(token, "little")]:
                try:
                    body: dict[str, Any] = {"verdict": dataclasses.asdict(jobs[number]())}
                except Exception:
                    body = {}  # to be raised where it is seen
                data = json.dumps({"number": number, **body}, default=_plain).encode()
                write_all(answer, len(data).to_bytes(_LENGTH, "little") + data)
        child.release()
    finally:
        os._exit(0)


def _plain(value: object) -> object:
    return value.value if isinstance(value, Outcome) else dict(value)  # type: ignore[call-overload]


def _read(answer: bytes, jobs: Sequence[Job]) -> dict[int, OutputVerdict]:
    found: dict[int, OutputVerdict] = {}
    at = 0
    while at + _LENGTH <= len(answer):
        begin = at + _LENGTH
        at = begin + int.from_bytes(answer[at:begin], "little")
        if at > len(answer):
            break  # it died while it wrote
        head = json.loads(answer[begin:at])
        number = head["number"]
        found[number] = _verdict(head["verdict"]) if "verdict" in head else jobs[number]()
    return found


def _verdict(fields: dict[str, Any]) -> OutputVerdict:
    comparison = fields.pop("comparison")
    numbers = comparison.pop("numbers")
    return OutputVerdict(
        comparison=Comparison(
            outcome=Outcome(comparison.pop("outcome")),
            differences=tuple(Difference(**item) for item in comparison.pop("differences")),
            removed=tuple(comparison.pop("removed")),
            notes=tuple(comparison.pop("notes")),
            numbers=None if numbers is None else Numbers(**numbers),
            **comparison,
        ),
        **fields,
    )
