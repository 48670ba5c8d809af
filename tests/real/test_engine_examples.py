"""Every folder of examples/ under every engine that works here: the same bytes come out."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from repro.runtime.choose import all_engines
from tests.contracts.runtime_box import ROOT_ONLY, docker_host  # noqa: F401 - a fixture
from tests.real.test_examples import (  # noqa: F401 - fixtures
    BY_NAME,
    Author,
    analysis_bin,
    archive,
    archives,
    author,
    every,
    unavailable,
)

pytestmark = [pytest.mark.real, pytest.mark.slow]
ENGINES = [e.name for e in all_engines() if e.by_name_only is None]
DATE = re.compile(rb"/(CreationDate|ModDate) \(D:\d{14}\)")
"""R's pdf() writes when it ran; nothing else may differ."""
OTHERS = [name for name in ENGINES if name != "bubblewrap"]


@pytest.fixture(params=OTHERS)
def engine(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if name in ROOT_ONLY and os.geteuid() != 0:
        pytest.skip(f"{name} needs root")
    if name == "docker":
        request.getfixturevalue("docker_host")
    reason = next(each for each in all_engines() if each.name == name).usable()
    if reason is not None:
        unavailable(reason)
    return name


@pytest.fixture(scope="module")
def produced() -> dict[str, Mapping[str, str]]:
    """What the default engine gave, by example."""
    return {}


def daemon_of(engine: str) -> dict[str, str]:
    """The daemon of this session; the author's environment is older."""
    return {"DOCKER_HOST": os.environ["DOCKER_HOST"]} if engine == "docker" else {}


def outputs(repro: Author, engine: str, file: Path, folder: Path) -> Mapping[str, str]:
    """The digest of each file that a sealed run leaves, by its path: all but a PDF's dates."""
    command = ("run", "-q", "--engine", engine, "--out", str(folder), str(file))
    repro(*command, **daemon_of(engine))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found = {
        str(path.relative_to(folder)): hashlib.sha256(DATE.sub(b"", path.read_bytes())).hexdigest()
        for path in files
    }
    shutil.rmtree(folder)
    assert found
    return found


@every
def test_the_same_bytes(
    name: str,
    engine: str,
    author: Author,  # noqa: F811
    archive: Path,  # noqa: F811
    produced: dict[str, Mapping[str, str]],
    tmp_path: Path,
) -> None:
    if name not in produced:
        produced[name] = outputs(author, "bubblewrap", archive, tmp_path / "first")
    assert outputs(author, engine, archive, tmp_path / "out") == produced[name]
    document = author.document("verify", "--engine", engine, str(archive), **daemon_of(engine))
    # On a busy machine a notebook's recorded output can differ in what carries no result.
    assert document["verdict"] in (BY_NAME[name].verdict, "equivalent"), document["outputs"]
    assert document["seal"]["engine"] == engine
    assert document["reproduced"] is True
