from __future__ import annotations

from pathlib import Path

import pytest

from repro.model.lock import Grade
from repro.pin.sources.interpreter import Interpreter
from tests.unit.pin.fake_host import FakeHost

PREFIX = "/home/ann/.pyenv/versions/3.11.7"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    found = FakeHost(tmp_path)
    found.interpreter(PREFIX, "3.11.7")
    return found


@pytest.mark.parametrize(
    "path",
    ["lib/python3.11/os.py", "lib/python3.11/json/__init__.py", "bin/python3.11", "bin/python3",
     "lib/libpython3.11.so.1.0", "lib/python3.11"],
)  # fmt: skip
def test_owner(host: FakeHost, path: str) -> None:
    ref = Interpreter(host.root).owner(f"{PREFIX}/{path}")
    assert ref is not None
    assert (ref.key, ref.name, ref.version) == (f"{PREFIX}|3.11", "python", "3.11.7")


@pytest.mark.parametrize(
    "path",
    ["lib/python3.11/site-packages/num.py", "lib/python3.11/dist-packages/num.py",
     "bin/python3.11-config", "bin/pip", "lib/libz.so", "share/x"],
)  # fmt: skip
def test_what_lies_in_the_prefix_and_is_not_the_interpreter(host: FakeHost, path: str) -> None:
    host.write(f"{PREFIX}/{path}")
    assert Interpreter(host.root).owner(f"{PREFIX}/{path}") is None


def test_usr_is_the_package_managers(host: FakeHost) -> None:
    host.interpreter("/usr", "3.11.2")
    assert Interpreter(host.root).owner("/usr/lib/python3.11/os.py") is None
    assert Interpreter(host.root).owner("/usr/bin/python3.11") is None


def test_a_venv_is_no_interpreter(host: FakeHost) -> None:
    host.link("/home/ann/venv/bin/python3", f"{PREFIX}/bin/python3")
    host.write("/home/ann/venv/lib/python3.11/site-packages/num.py")
    assert Interpreter(host.root).owner("/home/ann/venv/bin/python3") is None


def test_the_tree_without_what_no_analysis_needs(host: FakeHost) -> None:
    source = Interpreter(host.root)
    host.pyc(f"{PREFIX}/lib/python3.11/os.py")
    host.pyc(f"{PREFIX}/lib/python3.11/json/__init__.py", stale=True)
    ref = source.owner(f"{PREFIX}/lib/python3.11/os.py")
    assert ref is not None
    names = [file.path.removeprefix(PREFIX + "/") for file in source.files(ref)]
    assert names == [
        "bin/python3", "bin/python3.11", "lib/libpython3.11.so.1.0",
        "lib/python3.11/__pycache__/os.cpython-311.pyc", "lib/python3.11/json/__init__.py",
        "lib/python3.11/lib-dynload/math.so", "lib/python3.11/os.py",
    ]  # fmt: skip
    assert "test suite" in source.left_out(ref)[0].reason


def test_two_versions_in_one_prefix_are_told_apart(host: FakeHost) -> None:
    host.interpreter("/usr/local", "3.9.1", "3.12.0")
    source = Interpreter(host.root)
    versions = {
        path: ref.version
        for path in ("bin/python3.9", "bin/python3.12", "bin/python3", "lib/libpython3.9.so.1.0")
        if (ref := source.owner(f"/usr/local/{path}")) is not None
    }
    assert versions == {
        "bin/python3.9": "3.9.1", "bin/python3.12": "3.12.0", "bin/python3": "3.12.0",
        "lib/libpython3.9.so.1.0": "3.9.1",
    }  # fmt: skip
    old = source.owner("/usr/local/lib/python3.9/os.py")
    assert old is not None
    assert "/usr/local/bin/python3" not in [file.path for file in source.files(old)]


def test_without_headers_the_version_is_the_short_one(host: FakeHost) -> None:
    host.path(f"{PREFIX}/include/python3.11/patchlevel.h").unlink()
    ref = Interpreter(host.root).owner(f"{PREFIX}/bin/python3.11")
    assert ref is not None and ref.version == "3.11"


def test_the_pin(host: FakeHost) -> None:
    source = Interpreter(host.root)
    ref = source.owner(f"{PREFIX}/bin/python3.11")
    assert ref is not None
    pin = source.lock(ref)
    assert pin.purl == "pkg:generic/python@3.11.7" and pin.grade is Grade.NAME_ONLY
