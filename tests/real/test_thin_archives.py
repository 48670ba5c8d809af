"""A thin archive of a real environment, made whole from the indexes this machine is set to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from repro.model.entry import LayerKind
from repro.model.lock import Grade, Lock, LockedPackage
from repro.pin.download import Fetcher
from repro.pin.pip_settings import pip_settings
from repro.pin.simple_index import index_files
from repro.pin.wheel import Wheel
from repro.workflows.fatten import FattenRequest, fatten
from repro.workflows.thin import ThinRequest, thin
from tests.thin_lab import SITE
from tests.unit.store.archive_sample import file, make_archive
from tests.workflows.lab import Lab, need_an_engine

pytestmark = pytest.mark.real

NAME = "pyparsing"
PACKAGES = ("charset-normalizer", "pyparsing")  # each compiled by pip, one with a program


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    need_an_engine()
    found = Lab(tmp_path, tmp_path / "cache")
    found.write("a.py", "import charset_normalizer, pyparsing\nopen('out.txt', 'w').write('1')\n")
    for words in (
        [sys.executable, "-m", "venv", "venv"],
        ["venv/bin/pip", "install", "-q", *PACKAGES],
    ):
        done = subprocess.run(words, cwd=found.project, capture_output=True, text=True, check=False)
        if done.returncode:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(done.stderr[-300:])
    return found


def test_a_published_wheel_by_its_name(tmp_path: Path) -> None:
    """Its files, laid by hand, are found by name and version, left out, and fetched again."""
    environ = {**os.environ, "REPRO_CACHE": str(tmp_path / "cache")}
    settings = pip_settings(environ)
    listed, failed = index_files(settings, Fetcher(settings), NAME)
    pure = [each for each in listed if each.filename.endswith("-py3-none-any.whl") and each.sha256]
    if not pure:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no index has {NAME}: {failed}")
    with Fetcher(settings).file(pure[-1].url, pure[-1].sha256, 1 << 30) as stream:
        with Wheel(stream) as wheel:
            files = {name: wheel.read(name) for name in wheel.members}
    lock = LockedPackage(
        source="pip", name=NAME, version=pure[-1].filename.split("-")[1],
        purl=f"pkg:pypi/{NAME}", grade=Grade.NAME_ONLY, facts={"tags": "py3-none-any"},
    )  # fmt: skip
    fat, thinned, whole = (tmp_path / f"{name}.repro" for name in ("fat", "thin", "whole"))
    make_archive(
        fat, tmp_path / "work", lock=Lock(packages=(lock,)),
        files=[file(f"{SITE}/{name}", data, LayerKind.PACKAGES) for name, data in files.items()],
    )  # fmt: skip
    made = thin(ThinRequest(archive=fat, output=thinned, environ=environ))
    assert made.thin is not None and made.after < made.before, made.kept
    (artifact,) = made.thin.artifacts
    assert artifact.sha256 == pure[-1].sha256
    assert artifact.url is None or artifact.url.startswith("https://files.pythonhosted.org/")
    assert fatten(FattenRequest(archive=thinned, output=whole, environ=environ)).same


@pytest.mark.slow
def test_thin_then_whole_then_verified(lab: Lab) -> None:
    """Bytecode too: it is compiled in the sandbox by the interpreter that the archive holds."""
    lab.snapshot("--", "venv/bin/python", "a.py")
    fat = lab.archive.read_bytes()
    thin = lab.folder / "thin.repro"
    made = json.loads(lab.repro("thin", str(lab.archive), "-o", str(thin), "--json").stdout)
    assert made["size"]["after"] < made["size"]["before"] and made["artifacts"] >= 2
    assert not set(made["kept"]) & {f"{name} " for name in PACKAGES}
    assert all(layer["exact"] for layer in made["layers"])
    packed = max(layer["compiled"] for layer in made["layers"])
    assert packed > 200_000, made["notes"]
    lab.repro("verify", str(thin), status=3)
    lab.archive.unlink()
    whole = json.loads(lab.repro("fatten", str(thin), "-o", str(lab.archive), "--json").stdout)
    assert whole["same_file"] and lab.archive.read_bytes() == fat
    lab.verify()
