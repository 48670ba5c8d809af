"""Which interpreter a container's Jupyter server is tried with, and what is kept of its words."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from repro.errors import RerunFailed, RunFailed, UsageError
from repro.model.recording import Claims
from repro.workflows import container_jupyter
from repro.workflows.jupyter import NONE_HERE, TAIL

CLAIMS = Claims(name="p", root="/p", steps=(), environment={}, outputs=())


def served(monkeypatch: pytest.MonkeyPatch, start: Any, wait: Any) -> int:
    @contextlib.contextmanager
    def as_given(*words: Any, **more: Any) -> Iterator[Any]:
        yield SimpleNamespace(recording=SimpleNamespace(claims=CLAIMS))

    shelf = SimpleNamespace(find=lambda name: name)
    for name, value in {
        "opened": as_given, "relayed": as_given, "ushered": as_given, "start": start,
        "wait": wait, "shelf": lambda environ: shelf,
    }.items():  # fmt: skip
        monkeypatch.setattr(container_jupyter, name, value)
    return container_jupyter.serve_container({}, "c", 0, lambda address: None, lambda: "now")


def test_an_engine_that_says_at_once_that_a_program_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = []

    def start(environ: object, name: str, argv: tuple[str, ...], *more: object) -> str:
        tried.append(argv[0])
        if argv[0] == "python3":
            raise RunFailed("python3 cannot be started in the sandbox", slug="rerun-command")
        return "begun"

    with pytest.raises(UsageError) as caught:
        served(monkeypatch, start, lambda begun, follow: NONE_HERE)
    assert tried == ["python3", "python"] and caught.value.slug == "no-jupyter"


def test_another_failure_at_the_start_is_that_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*words: object) -> str:
        raise RunFailed("the disk is full", slug="limit-disk")

    with pytest.raises(RunFailed, match="disk is full"):
        served(monkeypatch, start, None)


def test_no_more_of_its_words_are_kept_than_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []

    def wait(begun: object, follow: Callable[[bytes], None]) -> int:
        for number in range(300):
            follow(b"%05d " % number + b"x" * 1000)
            (said,) = (each for each in follow.__defaults__ or () if isinstance(each, bytearray))
            kept.append(len(said))
        return 1

    with pytest.raises(RerunFailed) as caught:
        served(monkeypatch, lambda *words: "begun", wait)
    assert max(kept) == TAIL and "00299" in "".join(caught.value.details)
