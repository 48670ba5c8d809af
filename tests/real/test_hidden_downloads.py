"""Hidden downloads in R, by curl under make, and in a notebook: the line that asked is named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_server import WebServer, serve

pytestmark = pytest.mark.real


def unavailable(reason: str) -> None:
    """Skip at home; in CI every program must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with serve() as running:
        running.files["/d.csv"] = b"a,b\n1,2\n"
        yield running


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def failed(project: Path, *command: str, path: str | None = None) -> str:
    """What the snapshot says when its self-test fails."""
    env = {**os.environ, "REPRO_CACHE": str(project.parent / "cache")}
    if path is not None:
        env["PATH"] = path
    done = subprocess.run(
        [sys.executable, "-m", "repro", "snapshot", "-o", str(project.parent / "a.repro"), *command],
        cwd=project, env=env, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 5, done.stdout + done.stderr
    assert "error[self-test]" in done.stderr
    return done.stderr


def test_r(project: Path, server: WebServer) -> None:
    if shutil.which("Rscript") is None:
        unavailable("Rscript is not installed")
    (project / "fit.R").write_text(
        f"# a comment\nd <- read.csv('{server.url('/d.csv')}')\nwrite.csv(d, 'out.csv')\n"
    )
    said = failed(project, "--", "Rscript", "fit.R")
    port = server.server_address[1]
    assert f"fit.R:2 (from reading the source): R fit.R wanted 127.0.0.1 port {port}" in said


def test_curl_under_make(project: Path, server: WebServer) -> None:
    for name in ("make", "curl"):
        if shutil.which(name) is None:
            unavailable(f"{name} is not installed")
    (project / "Makefile").write_text(f"d.csv:\n\tcurl -sS -o $@ {server.url('/d.csv')}\n")
    said = failed(project, "--", "make")
    assert "Makefile:2 (from the log of the sealed run): curl -sS -o d.csv" in said


def test_a_notebook(project: Path, server: WebServer) -> None:
    environment = project.parent / "venv"
    venv.create(environment, with_pip=True)
    installed = subprocess.run(
        [environment / "bin" / "python", "-m", "pip", "install", "-q", "ipykernel"],
        capture_output=True, text=True,
    )  # fmt: skip
    if installed.returncode != 0:
        unavailable(f"ipykernel cannot be installed: {installed.stderr[-300:]}")
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": "# Title"},
        *(
            {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None,
             "source": source}
            for source in ("import urllib.request", f"x = 1\nurllib.request.urlopen('{server.url('/d.csv')}').read()")
        ),
    ]  # fmt: skip
    (project / "n.ipynb").write_text(
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    said = failed(project, "n.ipynb", path=f"{environment / 'bin'}:{os.environ['PATH']}")
    assert "n.ipynb cell 3:2 (from " in said
    assert f"wanted 127.0.0.1 port {server.server_address[1]}" in said
