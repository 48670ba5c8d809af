from __future__ import annotations

from pathlib import Path

import pytest

from repro.errors import RuntimeUnavailable
from repro.model.ports import SandboxRequest, SandboxResult, Seal
from repro.runtime import choose as module
from repro.runtime import proof
from repro.runtime.base import Runtime
from repro.runtime.proof import Proofs


class Counted(Runtime):
    name = "counted"

    def __init__(self, identity: str | None = "one", works: bool = True) -> None:
        self.tried = 0
        self._words = identity
        self._works = works

    def _identity(self) -> str | None:
        return self._words

    def _usable(self) -> str | None:
        self.tried += 1
        return None if self._works else "not today"

    def _seal(self, network: str, limits: object) -> Seal:
        raise NotImplementedError

    def _run(self, request: SandboxRequest) -> SandboxResult:
        raise NotImplementedError


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /proc/sys of our own."""
    for name, value in (("kernel/random/boot_id", "boot-1"), ("user/max_user_namespaces", "99")):
        (tmp_path / "sys" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sys" / name).write_text(value + "\n")
    monkeypatch.setattr(proof, "_SYSCTL", tmp_path / "sys")
    return tmp_path / "sys"


def pick(monkeypatch: pytest.MonkeyPatch, engine: Runtime, proofs: Proofs) -> Runtime:
    monkeypatch.setattr(module, "all_engines", lambda: [engine])
    return module.choose(None, proofs)


def test_an_engine_is_tried_once(
    system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proofs, engine = Proofs(tmp_path / "cache/engines"), Counted()
    for _ in range(3):
        assert pick(monkeypatch, engine, proofs) is engine
    assert engine.tried == 1
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("changed", ["boot", "switch", "identity"])
def test_it_is_tried_again_when_something_changed(
    system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    proofs, engine = Proofs(tmp_path / "engines"), Counted()
    pick(monkeypatch, engine, proofs)
    if changed == "boot":
        (system / "kernel/random/boot_id").write_text("boot-2\n")
    elif changed == "switch":
        (system / "user/max_user_namespaces").write_text("0\n")
    else:
        engine._words = "two"
    pick(monkeypatch, engine, proofs)
    assert engine.tried == 2


@pytest.mark.parametrize("why", ["no identity", "no boot id"])
def test_without_an_identity_or_a_boot_nothing_is_remembered(
    system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    if why == "no boot id":
        (system / "kernel/random/boot_id").unlink()
    proofs, engine = Proofs(tmp_path / "engines"), Counted(None if why == "no identity" else "one")
    pick(monkeypatch, engine, proofs)
    pick(monkeypatch, engine, proofs)
    assert engine.tried == 2
    assert not (tmp_path / "engines").exists()


def test_what_fails_is_not_remembered(
    system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proofs, engine = Proofs(tmp_path / "engines"), Counted(works=False)
    for _ in range(2):
        with pytest.raises(RuntimeUnavailable):
            pick(monkeypatch, engine, proofs)
    assert engine.tried == 2


def test_a_disk_that_refuses_or_rubbish_in_the_file_is_no_error(
    system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"\xff\x00" * 100)
    engine = Counted()
    pick(monkeypatch, engine, Proofs(tmp_path / "file" / "engines"))
    pick(monkeypatch, engine, Proofs(tmp_path / "file"))
    assert engine.tried == 2
    pick(monkeypatch, engine, Proofs(tmp_path / "file"))
    assert engine.tried == 2


def test_the_real_engine_has_an_identity_that_names_its_file() -> None:
    (engine,) = [each for each in module.all_engines() if each.name == "bubblewrap"]
    if engine.usable() is None:
        assert "bwrap" in (engine.identity() or "")
