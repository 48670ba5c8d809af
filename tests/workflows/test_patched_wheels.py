"""Wheels that a Linux distribution patched under the version of the original."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.package_files import Index, deb, row, serving, sha256, wheel_files, zipped
from tests.workflows.test_provenance import NAME, SITE, WHEEL, Apt, Lab, installed

PATCHED = b"x = 1  # patched\n"
PACKAGE = "python3-num-whl"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    if shutil.which("apt-get") is None:
        if os.environ.get("CI"):
            pytest.fail("no apt-get")
        pytest.skip("no apt-get on this machine")
    with serving(Index()) as index:
        index.add(NAME, zipped(WHEEL))
        yield Lab(tmp_path, index)


def offer(lab: Lab, wheel: bytes, name: str = NAME) -> bytes:
    """Let this machine's apt offer a package with a wheel; its bytes."""
    package = deb({f"./usr/share/python-wheels/{name}": wheel}, name=PACKAGE)
    lab.environ.update(Apt(lab.folder / "apt", package, PACKAGE).environ)
    return package


def patched() -> bytes:
    files = {name: data for name, data in WHEEL.items() if ".dist-info/" not in name}
    points = {name: data for name, data in WHEEL.items() if name.endswith("entry_points.txt")}
    return zipped(wheel_files("num", "1.0", {**files, **points, "num/__init__.py": PATCHED}))


def as_installed(init: bytes) -> dict[str, bytes]:
    """Files of the patched wheel as pip lays them; its RECORD agrees."""
    files = installed(init=init)
    record = f"{SITE}/num-1.0.dist-info/RECORD"
    old, new = (row("num/__init__.py", data) for data in (WHEEL["num/__init__.py"], init))
    assert old.encode() in files[record]
    files[record] = files[record].replace(old.encode(), new.encode())
    return files


def test_the_distributions_wheel_is_as_published(lab: Lab) -> None:
    package = offer(lab, patched())
    lab.make(as_installed(PATCHED))
    found = lab.only()
    assert found["origin"] == "as published" and found["differs"] == []
    assert f"{PACKAGE}_1.0-1_all.deb, sha256:{sha256(package)}" in found["against"]
    assert "patched" in found["why"]


@pytest.mark.parametrize("init", [b"x = 1  # patched by somebody else\n"])
def test_what_neither_published_differs_as_before(lab: Lab, init: bytes) -> None:
    offer(lab, patched())
    lab.make(as_installed(init))
    found = lab.only()
    assert found["origin"] == "differs"
    assert [note["why"] for note in found["differs"]] == ["not what the published wheel holds"]


@pytest.mark.parametrize("name", ["num-1.1-py3-none-any.whl", "other-1.0-py3-none-any.whl"])
def test_another_wheel_in_the_package_proves_nothing(lab: Lab, name: str) -> None:
    offer(lab, patched(), name)
    lab.make(as_installed(PATCHED))
    assert lab.only()["origin"] == "differs"


def test_a_damaged_wheel_in_the_package_proves_nothing(lab: Lab) -> None:
    offer(lab, patched()[:-30])
    lab.make(as_installed(PATCHED))
    assert lab.only()["origin"] == "differs"
