"""Against the package sources that this machine is set to: pip's index and apt's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.workflows.lab import Lab, need_an_engine

pytestmark = pytest.mark.real

PACKAGES = ("six", "charset-normalizer")  # one of plain Python, one compiled with a program


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    need_an_engine()
    if shutil.which("apt-get") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no apt-get on this machine")
    found = Lab(tmp_path_factory.mktemp("published"), tmp_path_factory.mktemp("cache"))
    found.write("a.py", "import six, charset_normalizer\nopen('out.txt', 'w').write('1')\n")
    for words in (
        [sys.executable, "-m", "venv", "venv"],
        ["venv/bin/pip", "install", "-q", *PACKAGES],
    ):
        done = subprocess.run(words, cwd=found.project, capture_output=True, text=True, check=False)
        if done.returncode:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(done.stderr[-300:])
    yield found


def checked(lab: Lab, status: int) -> dict[str, Any]:
    words = ["-o", str(lab.archive), "--", "venv/bin/python", "a.py"]
    lab.repro("snapshot", "-q", "--no-self-test", *words)
    done = lab.repro("provenance", "--json", str(lab.archive), status=status)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_an_untouched_environment_is_as_published(lab: Lab) -> None:
    found = checked(lab, 0)
    of_pip = {p["name"]: p["origin"] for p in found["packages"] if p["source"] == "pip"}
    assert of_pip.keys() >= set(PACKAGES) and set(of_pip.values()) == {"as published"}
    assert found["unclaimed"] == []
    # Of a machine that is not upgraded daily some versions are gone; none may differ.
    of_apt = [p["origin"] for p in found["packages"] if p["source"] == "apt"]
    assert "as published" in of_apt and "differs" not in of_apt


def test_a_patch_planted_by_hand_is_found(lab: Lab) -> None:
    (site,) = Path(lab.project, "venv/lib").glob("python3*/site-packages")
    module = site / "six.py"
    before = module.read_bytes()
    module.write_bytes(before + b"\n# one line more\n")
    try:
        found = checked(lab, 1)
    finally:
        module.write_bytes(before)
    different = {
        p["name"]: [n["path"] for n in p["differs"]] for p in found["packages"] if p["differs"]
    }
    assert different == {"six": [str(module)]}
