"""The same archive under every engine that works here: the same bytes come out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from repro.runtime.base import PROPERTIES
from repro.runtime.choose import all_engines
from tests.contracts.runtime_box import docker_host  # noqa: F401 - a fixture
from tests.other_user import open_folder

pytestmark = pytest.mark.real
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ENGINES = [e.name for e in all_engines() if e.by_name_only is None]
LIMITS = ("--memory", "2G", "--cpus", "1", "--pids", "100", "--disk", "1G")


def repro(*words: str, cache: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "repro", *words], capture_output=True, text=True, timeout=300,
        env={**os.environ, "REPRO_CACHE": str(cache)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def packed() -> Iterator[tuple[Path, Path]]:
    """An archive of examples/c-awk and a cache."""
    if shutil.which("cc") is None or shutil.which("awk") is None:
        pytest.skip("no cc or awk")
    with open_folder() as top:
        shutil.copytree(EXAMPLES / "c-awk", top / "c-awk")
        done = repro("snapshot", "-q", "-C", str(top / "c-awk"), "-o", str(top / "a.repro"),
                     cache=top / "cache")  # fmt: skip
        assert done.returncode == 0, done.stderr
        yield top / "a.repro", top / "cache"


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if name in ("runc", "docker") and os.geteuid() != 0:
        pytest.skip(f"{name} needs root")
    if name == "docker":
        request.getfixturevalue("docker_host")
    found = next(each for each in all_engines() if each.name == name)
    reason = found.usable()
    if reason is not None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return name


def verified(packed: tuple[Path, Path], *words: str) -> Mapping[str, Any]:
    done = repro("verify", "--json", *words, str(packed[0]), cache=packed[1])
    assert done.returncode == 0, done.stderr
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


def test_the_same_bytes(packed: tuple[Path, Path], engine: str) -> None:
    document = verified(packed, "--engine", engine, "--require", "identical", *LIMITS)
    assert document["reproduced"] is True
    assert {output["verdict"] for output in document["outputs"]} == {"identical"}
    assert len(document["outputs"]) == 3
    seal = document["seal"]
    assert seal["engine"] == engine and seal["network"] is False
    assert {**seal["enforced"], **seal["not_enforced"]}.keys() >= PROPERTIES
    for name in ("memory", "pids limit", "disk", "cpu"):
        assert seal["enforced"][name]


def test_a_full_seal_is_given_or_refused(packed: tuple[Path, Path], engine: str) -> None:
    done = repro("verify", "--engine", engine, "--require-seal", "full", *LIMITS, str(packed[0]),
                 cache=packed[1])  # fmt: skip
    if engine == "docker":
        assert done.returncode == 6 and "kernel files" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
    without = repro("verify", "--engine", engine, "--require-seal", "full", str(packed[0]),
                    cache=packed[1])  # fmt: skip
    assert without.returncode == 6
    assert "memory" in without.stderr


def test_what_a_program_prints(packed: tuple[Path, Path], engine: str) -> None:
    done = repro("run", "-q", "--engine", engine, str(packed[0]), "--", "sh", "-c",
                 "echo out; echo err >&2; exit 5", cache=packed[1])  # fmt: skip
    assert (done.returncode, done.stdout) == (5, "out\n")
    assert "err" in done.stderr


def test_an_engine_that_is_not_there(packed: tuple[Path, Path]) -> None:
    done = repro("verify", "--engine", "apptainer", str(packed[0]), cache=packed[1])
    if shutil.which("apptainer") is None:
        assert done.returncode == 6 and "apptainer is not installed" in done.stderr
    done = repro("verify", "--engine", "chroot", str(packed[0]), cache=packed[1])
    assert done.returncode == 2


def test_the_doctor_lists_every_engine(packed: tuple[Path, Path]) -> None:
    found = json.loads(repro("doctor", "--json", cache=packed[1]).stdout)
    named = {check["name"]: check for check in found["checks"]}
    for engine in all_engines():
        check = named[f"engine {engine.name}"]
        assert check["text"] and (check["ok"] or check["mend"])
