"""Facts of a machine, read from an imagined one; what works here, tried by doing."""

from __future__ import annotations

import json
import os
import platform
import tempfile
from pathlib import Path

import pytest

from repro.observe.host import host_facts, tracer_support
from tests.unit.observe.recording_sample import Lab

CPUINFO = (
    "processor\t: 0\nmodel name\t: Imagined CPU @ 3.00GHz\nflags\t\t: fpu avx2 sse4_2 avx\n\n"
    "processor\t: 1\nmodel name\t: Another\nflags\t\t: avx512f\n"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, content in {
        "etc/os-release": 'NAME=X\nPRETTY_NAME="Imagined Linux 7 (seven)"\nHOME_URL="https://x/?a=b"\n',
        "proc/cpuinfo": CPUINFO,
        "proc/meminfo": "MemTotal:        2048 kB\nMemFree:  1 kB\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return tmp_path


def test_facts_come_from_the_given_root(root: Path) -> None:
    facts = host_facts(root, {})
    assert facts["distribution"] == "Imagined Linux 7 (seven)"
    assert facts["cpu"] == "Imagined CPU @ 3.00GHz"
    assert facts["features"] == ["sse4_2", "avx", "avx2"]
    assert facts["memory"] == 2048 * 1024
    assert facts["kernel"] == platform.release()
    assert facts["container"] == "none seen"


def test_an_arm_processor_is_known_by_its_features(root: Path) -> None:
    (root / "proc/cpuinfo").write_text("processor : 0\nFeatures : fp asimd sve\nCPU part : 0xd40\n")
    facts = host_facts(root, {})
    assert facts["features"] == ["asimd", "sve"]
    assert facts["cpu"] == "0xd40"


@pytest.mark.parametrize(
    ("marker", "name"), [(".dockerenv", "docker"), ("run/.containerenv", "podman")]
)
def test_containers_are_told_by_their_marks(root: Path, marker: str, name: str) -> None:
    (root / marker).parent.mkdir(exist_ok=True)
    (root / marker).touch()
    assert host_facts(root, {})["container"] == name


def test_the_environment_gives_locale_and_numeric_settings_only() -> None:
    facts = host_facts(
        Path("/"), {"LANG": "de_DE.UTF-8", "OMP_NUM_THREADS": "3", "USER": "ann", "TOKEN": "t"}
    )
    assert facts["locale"] == "de_DE.UTF-8"
    assert facts["numerics"] == {"OMP_NUM_THREADS": "3"}
    assert host_facts(Path("/"), {"LANG": "a", "LC_ALL": "b"})["locale"] == "b"
    assert "ann" not in json.dumps(facts).split('"')


def test_a_machine_that_says_nothing_is_unknown(tmp_path: Path) -> None:
    facts = host_facts(tmp_path, {})
    assert (facts["distribution"], facts["cpu"], facts["memory"]) == ("unknown", "unknown", 0)
    assert facts["features"] == []


def test_odd_bytes_end_in_no_traceback(root: Path) -> None:
    for name in ("etc/os-release", "proc/cpuinfo", "proc/meminfo"):
        (root / name).write_bytes(b"MemTotal: \xff\nmodel name : \xff\nPRETTY_NAME=\xff\n")
    assert host_facts(root, {})["memory"] == 0


def test_facts_are_json_without_floats() -> None:
    def refuse(text: str) -> float:
        raise AssertionError(text)

    facts = host_facts(Path("/"), {})
    assert json.loads(json.dumps(facts), parse_float=refuse) == facts


def test_support_says_what_a_recording_then_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    support = tracer_support()
    assert set(support) == {"notify", "strace", "overlay"}
    assert list((tmp_path / "t").iterdir()) == []
    lab = Lab(tmp_path)
    seen = lab.run("/bin/true")
    assert (seen.tracer == "notify") == (support["notify"] == "")
    assert (seen.capture == "overlay") == (support["overlay"] == "")
    lab.close()


def test_without_strace_on_the_path_the_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "PATH", "/nonexistent")
    assert tracer_support()["strace"] == "strace is not installed"


def test_graphics_processors_and_hypervisors_are_seen(root: Path) -> None:
    assert host_facts(root, {})["gpu"] == []
    for place in ("dev/nvidia0", "dev/nvidiactl", "dev/dri/renderD128", "dev/dri/card0"):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text("")
    version = root / "proc/driver/nvidia/version"
    version.parent.mkdir(parents=True)
    version.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module 535.1\nGCC version: 12\n")
    assert host_facts(root, {})["gpu"] == [
        "/dev/nvidia0", "/dev/dri/renderD128",
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module 535.1",
    ]  # fmt: skip
    cpuinfo = root / "proc/cpuinfo"
    cpuinfo.write_text("model name : x\nflags : fpu avx hypervisor\n")
    assert host_facts(root, {})["virtual"] is True
    cpuinfo.write_text("model name : hypervisor\nflags : fpu avx\n")
    assert host_facts(root, {})["virtual"] is False
