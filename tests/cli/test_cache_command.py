"""``repro cache`` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.workflows.lab import Lab, need_an_engine


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    need_an_engine()
    made = Lab(tmp_path, tmp_path / "cache")
    made.repro("snapshot", "-q", "-o", str(made.archive), "--", "sh", "-c", "echo 1 > out.txt")
    return made


def found(lab: Lab, *words: str, status: int = 0) -> Any:
    return json.loads(lab.repro("cache", *words, "--json", status=status).stdout)


def test_list_check_and_remove(lab: Lab) -> None:
    listed = found(lab, "ls")
    assert listed["folder"] == str(lab.folder / "cache") and listed["limit"] is None
    assert listed["size"] == sum(layer["size"] for layer in listed["layers"]) > 0
    largest = max(listed["layers"], key=lambda layer: int(layer["size"]))
    assert largest["ready"] and not largest["in_use"]
    place = lab.folder / "cache" / "layers" / largest["diff_id"].partition(":")[2]
    victim = max((p for p in place.rglob("*") if p.is_file() and not p.is_symlink()),
                 key=lambda p: p.stat().st_size)  # fmt: skip
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    checked = found(lab, "check")
    assert checked["damaged"] == [largest["diff_id"]]
    assert found(lab, "check") == {**checked, "damaged": []}
    assert lab.repro("verify", "-q", str(lab.archive)).returncode == 0
    assert found(lab, "gc", "--keep", "1TB")["freed"] == 0
    listed = found(lab, "ls")
    kinds = listed["kinds"]
    assert listed["total"] == sum(kind["size"] for kind in kinds.values()) > listed["size"]
    assert kinds["layers"]["size"] == listed["size"] and kinds["packed"]["count"] > 0
    assert not {"packed", "pulled", "remote"} & set(listed["others"])
    said = lab.repro("cache", "ls").stdout
    assert f"packed: {kinds['packed']['count']}, " in said and "in all " in said
    done = found(lab, "gc")
    assert done["freed"] > 0 and done["kinds"]["packed"]["freed"] == kinds["packed"]["size"]
    assert done["size"] == 0 == found(lab, "ls")["total"]
    assert "0 layers" in lab.repro("cache", "ls").stdout


def test_verify_and_run_respect_the_limit(lab: Lab) -> None:
    assert found(lab, "limit", "100kB")["limit"] == 100_000
    for words in (
        ("verify", "-q", str(lab.archive)),
        ("run", "-q", str(lab.archive), "--", "true"),
    ):
        lab.repro(*words)
        assert found(lab, "ls")["total"] <= 100_000
    assert "limit: 100 kB" in lab.repro("cache", "limit").stdout
    assert found(lab, "limit", "none")["limit"] is None
    lab.repro("verify", "-q", str(lab.archive))
    assert found(lab, "ls")["size"] > 100_000
    assert found(lab, "limit", "plenty", status=2)["error"]["slug"] == "usage"
