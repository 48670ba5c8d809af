"""Which control group holds a run's limits: ours, or a scope of systemd that holds more."""

from __future__ import annotations

import pytest

from repro.model.limits import NO_LIMITS, Limits
from repro.runtime import held as held_module
from repro.runtime.cgroups import Cgroup
from repro.runtime.held import held

ALL = Limits(memory=1 << 30, cpus=0.5, pids=9)


class Group(Cgroup):
    def __init__(self, *held_by_it: str) -> None:
        super().__init__({}, dict.fromkeys(held_by_it, "a test"))
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def chosen(
    monkeypatch: pytest.MonkeyPatch, own: Group | None, scope: Group | None, limits: Limits = ALL
) -> Cgroup | None:
    monkeypatch.setattr(held_module, "make_cgroup", lambda _: own)
    monkeypatch.setattr(held_module, "make_scope", lambda _: scope)
    with held(limits) as group:
        return group


def test_ours_when_it_holds_all(monkeypatch: pytest.MonkeyPatch) -> None:
    own, scope = Group("memory", "cpu", "pids"), Group("memory", "cpu", "pids")
    assert chosen(monkeypatch, own, scope) is own
    assert (own.closed, scope.closed) == (1, 0), "no scope was made"


def test_ours_when_it_holds_all_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Group("memory")
    asked = Limits(memory=1 << 30, disk=1 << 30)
    assert chosen(monkeypatch, own, Group("memory", "cpu"), asked) is own


def test_a_scope_that_holds_more(monkeypatch: pytest.MonkeyPatch) -> None:
    own, scope = Group("memory", "pids"), Group("memory", "cpu", "pids")
    assert chosen(monkeypatch, own, scope) is scope
    assert (own.closed, scope.closed) == (1, 1)


def test_a_scope_that_holds_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    own, scope = Group("memory", "pids"), Group("memory", "pids")
    assert chosen(monkeypatch, own, scope) is own
    assert (own.closed, scope.closed) == (1, 1)


def test_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    scope = Group("memory")
    assert chosen(monkeypatch, None, scope) is scope
    assert chosen(monkeypatch, None, None) is None
    assert chosen(monkeypatch, Group("memory"), None, NO_LIMITS) is None
