"""What the base class does for every engine: refuses, wraps, and lets interruptions through."""

from __future__ import annotations

import dataclasses
import subprocess

import pytest

from repro.errors import (
    Interrupted,
    RerunFailed,
    RunFailed,
    RuntimeUnavailable,
    UsageError,
)
from repro.model.ports import SandboxRequest, SandboxResult, Seal
from repro.model.step import Cost
from repro.runtime.base import Runtime, with_mend, without_mend

REQUEST = SandboxRequest(
    layers=["/l"], upper="/u", work="/w", argv=["a"], environment={"B": "c"}, cwd="/d",
    stdout=1, stderr=2,
)  # fmt: skip


class Engine(Runtime):
    name = "engine"

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.ran: list[SandboxRequest] = []

    def _do(self) -> None:
        if self.error is not None:
            raise self.error

    def _usable(self) -> str | None:
        self._do()
        return None

    def _seal(self, network: str, limits: object) -> Seal:
        self._do()
        return Seal(engine=self.name, version=network, enforced={})

    def _run(self, request: SandboxRequest) -> SandboxResult:
        self.ran.append(request)
        self._do()
        return SandboxResult(exit=0, cost=Cost(wall=0))


@pytest.mark.parametrize(
    "changes",
    [
        {"argv": []}, {"argv": [""]}, {"argv": ["a", "b\0c"]}, {"argv": ["a\0"]},
        {"cwd": "d"}, {"cwd": ""}, {"cwd": "/d\0e"},
        {"environment": {"": "c"}}, {"environment": {"B=": "c"}},
        {"environment": {"B\0": "c"}}, {"environment": {"B": "\0"}},
        {"environment": {"B": "\ud900"}}, {"environment": {"\udfff": "c"}},
        {"layers": ["/l\0"]}, {"upper": "/u\0"}, {"work": "/w\0"},
    ],
)  # fmt: skip
def test_nothing_is_started_for_such_a_request(changes: dict[str, object]) -> None:
    engine = Engine()
    with pytest.raises(RerunFailed) as caught:
        engine.run(dataclasses.replace(REQUEST, **changes))  # type: ignore[arg-type]
    assert engine.ran == []
    assert caught.value.message.isprintable()
    assert caught.value.exit_code == 5


def test_an_unknown_network() -> None:
    engine = Engine()
    with pytest.raises(UsageError):
        engine.run(dataclasses.replace(REQUEST, network="hots"))
    assert engine.ran == []


def test_an_ordinary_request_goes_through_unchanged() -> None:
    engine = Engine()
    request = dataclasses.replace(
        REQUEST, argv=["a", "", "é\n", "\udcff"], environment={"B": "", "c.d": "=\x1b"}
    )
    assert engine.run(request).exit == 0
    assert engine.ran == [request]


STRAY = [
    OSError(28, "No space left on device", "/x"), ValueError("v\x1b[0m"), OverflowError("big"),
    subprocess.TimeoutExpired(["x"], 3), KeyError(), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"),
]  # fmt: skip


@pytest.mark.parametrize("error", STRAY, ids=lambda error: type(error).__name__)
def test_stray_errors_are_the_engines(error: Exception) -> None:
    engine = Engine(error)
    with pytest.raises(RuntimeUnavailable) as caught:
        engine.run(REQUEST)
    assert caught.value.message.startswith("engine could not run: ")
    assert caught.value.message.isprintable()
    assert caught.value.hint
    with pytest.raises(RuntimeUnavailable):
        engine.seal()
    reason = engine.usable()
    assert reason and reason.isprintable()


@pytest.mark.parametrize("error", [RerunFailed("r"), RuntimeUnavailable("u"), RunFailed("f")])
def test_named_errors_stay(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        Engine(error).run(REQUEST)
    assert caught.value is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interrupted("x")])
def test_interruptions_are_not_errors(error: BaseException) -> None:
    for call in (Engine(error).usable, Engine(error).seal, lambda: Engine(error).run(REQUEST)):
        with pytest.raises(type(error)):
            call()


def test_reasons_carry_their_mend() -> None:
    error = RuntimeUnavailable("too old (0.8)", hint="get (a) new one")
    reason = Engine(error).usable()
    assert reason == with_mend("too old (0.8)", "get (a) new one")
    assert without_mend(reason) == ("too old (0.8)", "get (a) new one")
    assert without_mend("no more") == ("no more", None)
