"""Development installs: the author's source folder, chosen as the project is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from repro.model.entry import LayerKind
from tests.unit.observe.closure_sample import Sample, names

SITE = "/venv/lib/python3.11/site-packages"


def install(sample: Sample, name: str, folder: str) -> None:
    """As ``pip install -e`` leaves it: a .pth beside the metadata."""
    direct = {"url": f"file://{sample.root}{folder}", "dir_info": {"editable": True}}
    sample.dist(
        SITE, name, "0.3", files=[f"__editable__.{name}.pth"], requires=["util"],
        extra={"direct_url.json": json.dumps(direct)},
    )  # fmt: skip


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    found = Sample(tmp_path)
    found.write("/venv/pyvenv.cfg", "home = /opt/python/bin\nversion = 3.11.7\n")
    found.dist(SITE, "util", files=["util.py"])
    for leaf in ("src/mine/__init__.py", "src/mine/lazy.py", "pyproject.toml", "src/mine/t.csv"):
        found.write(f"/code/{leaf}")
    for leaf in (".git/HEAD", ".env", "src/mine/__pycache__/lazy.cpython-311.pyc"):
        found.write(f"/code/{leaf}")
    return found


def test_its_whole_source_is_code(sample: Sample) -> None:
    install(sample, "mine", "/code")
    sample.read(f"{SITE}/__editable__.mine.pth", "/code/src/mine/__init__.py")
    sample.listed("/code/src", "/code/src/mine")
    closure = sample.close()
    entries = sample.entries(closure)
    for leaf in ("src/mine/__init__.py", "src/mine/lazy.py", "src/mine/t.csv", "pyproject.toml"):
        assert entries[f"/code/{leaf}"].kind is LayerKind.CODE, leaf
        assert entries[f"/code/{leaf}"].origin == "editable:mine"
    assert not [path for path in entries if ".git" in path or ".pyc" in path or ".env" in path]
    assert entries[f"{SITE}/__editable__.mine.pth"].kind is LayerKind.PACKAGES
    assert entries["/code/src"].kind is LayerKind.CODE
    assert names(closure.packages) == ["mine", "util"]
    assert closure.warnings == (
        f"mine is installed editable: its source in {sample.root}/code is packed as code",
    )
    assert [item.path[len(sample.root) :] for item in closure.left_out] == ["/code/.env"]


def test_one_that_was_not_used_stays_at_home(sample: Sample) -> None:
    install(sample, "mine", "/code")
    sample.read(f"{SITE}/__editable__.mine.pth")
    closure = sample.close()
    assert not [path for path in sample.entries(closure) if path.startswith("/code/")]
    assert not closure.warnings


def test_exclusions_hold_there_too(sample: Sample) -> None:
    install(sample, "mine", "/code")
    sample.read(f"{SITE}/__editable__.mine.pth", "/code/src/mine/__init__.py")
    entries = sample.entries(sample.close(exclude=["*.csv"]))
    assert "/code/src/mine/t.csv" not in entries and "/code/src/mine/lazy.py" in entries


def test_of_a_large_folder_modules_come_and_data_stays(sample: Sample) -> None:
    install(sample, "mine", "/code")
    with sample.path("/code/big.bin").open("wb") as stream:
        stream.truncate(70_000_000)
    sample.read(f"{SITE}/__editable__.mine.pth", "/code/src/mine/__init__.py")
    closure = sample.close()
    entries = sample.entries(closure)
    assert "/code/src/mine/lazy.py" in entries and "/code/big.bin" not in entries
    (left,) = [item for item in closure.left_out if item.path.endswith("/code")]
    assert "of the editable mine" in left.reason and "inputs.include" not in left.reason


def test_large_data_that_was_read_is_data(sample: Sample) -> None:
    install(sample, "mine", "/code")
    with sample.path("/code/big.bin").open("wb") as stream:
        stream.truncate(20_000_000)
    sample.read(f"{SITE}/__editable__.mine.pth", "/code/src/mine/__init__.py", "/code/big.bin")
    assert sample.entries(sample.close())["/code/big.bin"].kind is LayerKind.DATA


def test_the_project_itself_is_the_project(sample: Sample) -> None:
    install(sample, "mine", "/project")
    sample.write("/project/mine.py")
    sample.read(f"{SITE}/__editable__.mine.pth", "/project/mine.py")
    closure = sample.close()
    assert sample.entries(closure)["/project/mine.py"].origin == "project"
    assert not closure.warnings


def test_a_project_inside_an_editable_folder_goes_by_its_own_rules(sample: Sample) -> None:
    sample.project = f"{sample.root}/code/paper"
    install(sample, "mine", "/code")
    sample.write("/code/paper/run.py")
    sample.write("/code/paper/out.txt")
    sample.outputs = {"out.txt"}
    sample.read(f"{SITE}/__editable__.mine.pth", "/code/src/mine/__init__.py", "/code/paper/run.py")
    entries = sample.entries(sample.close())
    assert entries["/code/paper/run.py"].origin == "project"
    assert entries["/code/src/mine/lazy.py"].origin == "editable:mine"
    assert "/code/paper/out.txt" not in entries, "an output must be made by the rerun"


def test_a_source_inside_an_environment_is_code(sample: Sample) -> None:
    """``pip install -e git+...`` clones into the environment's src folder."""
    install(sample, "mine", "/venv/src/mine")
    sample.write("/venv/src/mine/mine/__init__.py")
    sample.write("/venv/src/mine/mine/lazy.py")
    sample.write("/venv/src/mine/.venv/pyvenv.cfg")
    sample.read(f"{SITE}/__editable__.mine.pth", "/venv/src/mine/mine/__init__.py")
    sample.read("/venv/src/mine/.venv/pyvenv.cfg", "/venv/pyvenv.cfg")
    entries = sample.entries(sample.close())
    for leaf in ("mine/__init__.py", "mine/lazy.py"):
        assert entries[f"/venv/src/mine/{leaf}"].kind is LayerKind.CODE
    assert entries["/venv/src/mine/.venv/pyvenv.cfg"].kind is LayerKind.PACKAGES
    assert entries["/venv/pyvenv.cfg"].kind is LayerKind.PACKAGES


def test_one_that_builds_itself_at_import_is_named(sample: Sample) -> None:
    """meson-python's loader runs ninja, which goes by file times."""
    install(sample, "mine", "/code")
    sample.write(f"{SITE}/_mine_editable_loader.py")
    sample.read(f"{SITE}/_mine_editable_loader.py", "/code/src/mine/__init__.py")
    (warning,) = [text for text in sample.close().warnings if "meson-python" in text]
    assert warning.startswith("mine is built anew") and "without -e" in warning


def test_the_whole_home_is_no_source(sample: Sample) -> None:
    install(sample, "mine", "/home")
    sample.write("/home/mine.py")
    sample.write("/home/private/letter.txt")
    sample.read(f"{SITE}/__editable__.mine.pth", "/home/mine.py")
    entries = sample.entries(sample.close())
    assert "/home/mine.py" in entries and "/home/private/letter.txt" not in entries
