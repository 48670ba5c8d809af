from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from repro.cli.changes_lines import change_lines, summary_line
from repro.model.entry import FileEntry, LayerKind
from repro.model.lock import Grade, Lock, LockedPackage
from repro.workflows.changes import changes
from tests.unit.store.archive_sample import ROOT, entries, file, symlink
from tests.unit.workflows.versions_sample import add_version, script


def locked(name: str, version: str, digest: str | None = None) -> LockedPackage:
    return LockedPackage(
        source="pip", name=name, version=version, purl=f"pkg:pypi/{name}@{version}",
        grade=Grade.NAME_ONLY, hash=digest,
    )  # fmt: skip


def packaged(version: bytes) -> list[FileEntry]:
    names = ("a.py", "b.py") if version == b"1" else ("b.py", "c.py")
    return [
        file(f"/usr/lib/python/numpy/{name}", name.encode() + version, LayerKind.PACKAGES,
             origin="pip:numpy", group="numpy")
        for name in names
    ]  # fmt: skip


@pytest.fixture
def found(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "paper.repro"
    old = [*script(b"print(1)\n"), *packaged(b"1"), symlink(f"{ROOT}/last", "a"),
           file(f"{ROOT}/gone.py", b"x"), file(f"{ROOT}/moved.csv", b"m" * 100)]  # fmt: skip
    new = [*script(b"print(22)\n"), *packaged(b"2"), symlink(f"{ROOT}/last", "b"),
           file(f"{ROOT}/new.py", b"y"), file(f"{ROOT}/moved.csv", b"m" * 100, LayerKind.DATA)]  # fmt: skip
    add_version(path, tmp_path / "work", "v1", files=old, lock=Lock(packages=(
        locked("numpy", "1"), locked("gone", "3"), locked("same", "5"),
        locked("again", "7", "sha256:aa"),
    )))  # fmt: skip
    add_version(path, tmp_path / "work", "v2", files=new, lock=Lock(packages=(
        locked("numpy", "2"), locked("added", "4"), locked("same", "5"),
        locked("again", "7", "sha256:bb"),
    )))  # fmt: skip
    return changes(f"{path}:v1", f"{path}:v2")


def test_files_by_layer(found: dict[str, Any]) -> None:
    files = {
        what: {each["path"].removeprefix(ROOT + "/"): each for each in listed}
        for what, listed in found["files"].items()
    }
    assert set(files["added"]) == {"new.py", "/usr/lib/python/numpy/c.py"}
    assert set(files["removed"]) == {"gone.py", "/usr/lib/python/numpy/a.py"}
    assert set(files["changed"]) == {
        "analysis.py", "last", "moved.csv", "/usr/lib/python/numpy/b.py",
    }  # fmt: skip
    script = files["changed"]["analysis.py"]
    assert script["layer"] == "code"
    assert (script["old"]["size"], script["new"]["size"]) == (9, 10)
    last = files["changed"]["last"]
    assert (last["old"]["target"], last["new"]["target"]) == ("a", "b")
    moved = files["changed"]["moved.csv"]
    assert (moved["old_layer"], moved["layer"]) == ("code", "data")
    assert moved["old"] == moved["new"]
    # base is one layer of both: not looked into, and said to be the same.
    assert found["layers"]["same"] == 1
    assert {each["kind"] for each in found["layers"]["added"]} == {"code", "data", "packages"}


def test_packages_come_from_the_locks(found: dict[str, Any]) -> None:
    packages = found["packages"]
    assert [(p["name"], p["versions"]) for p in packages["added"]] == [("added", ["4"])]
    assert [(p["name"], p["versions"]) for p in packages["removed"]] == [("gone", ["3"])]
    assert [(p["name"], p["old"], p["new"], p["rebuilt"]) for p in packages["changed"]] == [
        ("again", ["7"], ["7"], True), ("numpy", ["1"], ["2"], False),
    ]  # fmt: skip


def test_people_see_packages_counted_and_their_own_files_named(found: dict[str, Any]) -> None:
    lines = list(change_lines(found))
    assert "  ~ pip:numpy 1 -> 2" in lines
    assert "  ~ pip:again 7, other bytes" in lines
    assert "    pip:numpy: files +1, -1, ~1" in lines
    assert f"    ~ {ROOT}/analysis.py  9 B -> 10 B" in lines
    assert f"    ~ {ROOT}/moved.csv  (from layer code, the same bytes)" in lines
    assert not [line for line in lines if "numpy/b.py" in line]
    assert "4 packages" in summary_line(found) and "8 files" in summary_line(found)


def test_permissions_alone_are_said(tmp_path: Path) -> None:
    path = tmp_path / "paper.repro"
    kept = [each for each in entries() if not each.path.endswith("analysis.py")]
    for tag, mode in (("v1", 0o644), ("v2", 0o755)):
        files = [*kept, file(f"{ROOT}/analysis.py", b"print(1)\n", mode=mode)]
        add_version(path, tmp_path / "work", tag, files=files)
    found = changes(f"{path}:v1", f"{path}:v2")
    assert not any(found["files"].values()) and not found["same_image"]
    assert "permissions" in summary_line(found)
    assert any("code" in line and "permissions" in line for line in change_lines(found))


def test_nothing_changed(tmp_path: Path) -> None:
    path = tmp_path / "paper.repro"
    add_version(path, tmp_path / "work", "v1")
    found = changes(str(path), f"{path}:v1")
    assert found["same_image"] is True
    assert summary_line(found) == "beside the results nothing differs"
    assert list(change_lines(found))[0] == "packages  the same"


def test_names_from_an_archive_do_no_harm_to_a_terminal(found: dict[str, Any]) -> None:
    found["files"]["added"].append(
        {"path": "/x\x1b[31m\n", "layer": "code", "origin": "\x1b", "type": "symlink",
         "target": "\x1b]0;"}
    )  # fmt: skip
    found["packages"]["added"].append({"source": "\x07", "name": "\r", "versions": ["\x1b"]})
    found["run"] = {"environment": {"A\x1b": {"old": None, "new": "\x1b"}}}
    assert not [line for line in change_lines(found) if set(line) & set("\x1b\x07\r\n")]
