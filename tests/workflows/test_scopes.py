"""How much of an environment is packed: what was read, whole packages, everything."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.package_files import wheel_files
from tests.workflows.lab import Lab
from tests.workflows.test_python_environments import environment

SCRIPT = "import num\nopen('out.txt', 'w').write(num.value())\n"


def install(site: Path, name: str, files: dict[str, str]) -> None:
    """The files of a wheel where an installer puts them."""
    for member, data in wheel_files(name, "1.0", {k: v.encode() for k, v in files.items()}).items():
        (site / member).parent.mkdir(parents=True, exist_ok=True)
        (site / member).write_bytes(data)


@pytest.fixture
def python(lab: Lab) -> str:
    """A project with a venv of three packages, of which the run uses a part of one."""
    site = environment(lab.project / "venv")
    files = {
        "num/__init__.py": "def value(): return '7'\n",
        "num/unused.py": "LATER = 1\n",
        "num/table.csv": "1,2\n",
    }
    install(site, "num", files)
    install(site, "other", {"other.py": "x = 1\n"})
    lab.write("a.py", SCRIPT)
    return "venv/bin/python"


def names(lab: Lab) -> set[str]:
    """Files of the site folder, without bytecode."""
    return {
        path.partition("/site-packages/")[2]
        for path in lab.packed("packages")
        if "/site-packages/" in path and not path.endswith(".pyc") and ".dist-info/" not in path
    }


def test_by_default_packages_are_whole(lab: Lab, python: str) -> None:
    lab.snapshot("--", python, "a.py")
    assert names(lab) == {"num/__init__.py", "num/unused.py", "num/table.csv"}
    assert lab.inspect()["run"]["scope"] == "packages"
    assert "other" not in lab.pins()


def test_minimal_is_what_was_read_and_declared_data(lab: Lab, python: str) -> None:
    lab.snapshot("--", python, "a.py")
    whole = {layer["kind"]: layer["size"] for layer in lab.inspect()["layers"]}
    lab.snapshot("--minimal", "--", python, "a.py")
    assert names(lab) == {"num/__init__.py", "num/table.csv"}
    info = {p.rpartition("/")[2] for p in lab.packed("packages") if "num-1.0.dist-info" in p}
    assert info == {"METADATA", "WHEEL", "RECORD"}
    found = lab.inspect()
    assert found["run"]["scope"] == "minimal"
    sizes = {layer["kind"]: layer["size"] for layer in found["layers"]}
    assert sizes["base"] < whole["base"] / 100
    assert any("minimal" in item["reason"] for item in found["left_out"])
    assert "minimal: files that the run read" in lab.repro("inspect", str(lab.archive)).stdout
    lab.verify()
    assert lab.repro("run", str(lab.archive), "--", "sh", "-c", "echo $((40 + 2))").stdout == "42\n"


def test_full_is_the_whole_environment(lab: Lab, python: str) -> None:
    lab.snapshot("--full", "--", python, "a.py")
    assert names(lab) >= {"num/unused.py", "other.py"}
    assert {"num", "other"} <= lab.pins().keys()
    assert f"{lab.project}/venv/bin/activate" in lab.packed("packages")
    assert lab.inspect()["run"]["scope"] == "full"
    done = lab.repro("run", str(lab.archive), "--", python, "-c", "import other; print(other.x)")
    assert done.stdout == "1\n"
    lab.verify()


def test_what_the_layers_weigh_is_said(lab: Lab, python: str) -> None:
    done = lab.repro(
        "snapshot", "-v", "--no-self-test", "-o", str(lab.archive), "--", python, "a.py"
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("  -   layer")]
    assert len(lines) == len(lab.inspect()["layers"])
    (packages,) = [line for line in lines if " packages: " in line]
    assert "whole packages" in packages and "num 1.0" in packages
    quiet = lab.repro("snapshot", "--no-self-test", "-o", str(lab.archive), "--", python, "a.py")
    assert "  -   layer" not in quiet.stderr


def test_minimal_needs_observed_reads(lab: Lab, python: str) -> None:
    words = ["--minimal", "--tracer", "none", "-o", str(lab.archive), "--", python, "a.py"]
    done = lab.repro("snapshot", *words, status=3)
    assert "error[not-observed]" in done.stderr and not lab.archive.exists()


def test_the_two_exclude_each_other(lab: Lab) -> None:
    done = lab.repro("snapshot", "--minimal", "--full", "--", "true", status=2)
    assert "exclude each other" in done.stderr


def test_an_archive_from_before_the_choice_had_whole_packages(tmp_path: Path) -> None:
    from repro.workflows.inspect import inspect
    from tests.unit.store.archive_sample import make_archive

    make_archive(tmp_path / "a.repro", tmp_path / "work")
    assert inspect(tmp_path / "a.repro", None)["run"]["scope"] == "packages"


def test_this_interpreter_is_the_one_that_is_packed(lab: Lab, python: str) -> None:
    lab.snapshot("--minimal", "--", python, "a.py")
    real = os.path.realpath(sys.executable)
    assert real in lab.packed("runtime", "system", "packages")
