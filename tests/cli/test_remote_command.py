"""`inputs.remote` as a person uses it: fetched, packed, offline from then on."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_server import WebServer, serve

from tests.workflows import lab as project_lab
from tests.workflows.lab import need_an_engine

DATA = b"1 2\n3 4\n" * 200_000


@pytest.fixture(scope="module", autouse=True)
def sandbox() -> None:
    need_an_engine()


class Lab(project_lab.Lab):
    def __init__(self, folder: Path, server: WebServer) -> None:
        super().__init__(folder, folder / "cache")
        self.server = server
        self.env.pop("http_proxy", None)

    def declare(self, data: bytes = DATA, path: str = "/d.txt") -> None:
        digest = hashlib.sha256(data).hexdigest()
        (self.project / "repro.yml").write_text(
            "run: 'wc -l < data/d.txt > lines.txt; ls data > names.txt'\n"
            f"inputs:\n  remote:\n    - {{url: '{self.server.url(path)}', sha256: {digest}, "
            "path: data/d.txt}\n"
        )

    def snapshot(self, *options: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        return self.repro("snapshot", "-o", str(self.archive), *options, status=status)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with serve() as server:
        server.files["/d.txt"] = DATA
        yield Lab(tmp_path, server)


def test_fetched_packed_and_offline_from_then_on(lab: Lab) -> None:
    lab.declare()
    lab.snapshot()
    assert os.listdir(lab.project) == ["repro.yml"]
    assert len(lab.server.asked) == 1
    url = lab.server.url("/d.txt")
    lab.server.files.clear()
    found = json.loads(lab.repro("verify", str(lab.archive), "--json").stdout)
    assert found["verdict"] == "identical"
    shown = json.loads(lab.repro("inspect", str(lab.archive), "--json").stdout)
    assert shown["remote_inputs"] == [
        {"path": "data/d.txt", "url": url, "sha256": hashlib.sha256(DATA).hexdigest(),
         "size": len(DATA), "placed": True}
    ]  # fmt: skip
    data = [layer for layer in shown["layers"] if layer["kind"] == "data"]
    assert data and data[0]["uncompressed_size"] > len(DATA)
    assert f"data/d.txt from {url}" in lab.repro("inspect", str(lab.archive)).stdout
    lab.snapshot()
    assert len(lab.server.asked) == 1, "the second time it comes from the cache"


def test_a_cut_connection_goes_on(lab: Lab) -> None:
    lab.declare()
    lab.server.cut, lab.server.cuts = 500_000, 1
    lab.snapshot("--no-self-test")
    assert [ranges is None for _, ranges in lab.server.asked] == [True, False]


def test_a_wrong_digest(lab: Lab) -> None:
    lab.declare(b"another file")
    done = lab.snapshot(status=3)
    assert "error[remote-digest]" in done.stderr
    assert f"found    sha256 {hashlib.sha256(DATA).hexdigest()}" in done.stderr
    assert os.listdir(lab.project) == ["repro.yml"] and not lab.archive.exists()


def test_not_there(lab: Lab) -> None:
    lab.declare(path="/gone.txt")
    done = lab.snapshot(status=7)
    assert "answers 404" in done.stderr
    assert os.listdir(lab.project) == ["repro.yml"] and not lab.archive.exists()


def test_write_back_leaves_the_file(lab: Lab) -> None:
    lab.declare()
    lab.snapshot("--write-back", "--no-self-test")
    assert (lab.project / "data/d.txt").read_bytes() == DATA
    assert (lab.project / "lines.txt").read_text().strip() == "400000"


@pytest.mark.parametrize("capture", ["overlay", "in-place"])
def test_a_failed_run_leaves_nothing(lab: Lab, capture: str) -> None:
    lab.declare()
    config = lab.project / "repro.yml"
    config.write_text(config.read_text().replace("wc -l", "echo x >> data/d.txt; exit 4; wc"))
    lab.snapshot("--capture", capture, status=5)
    assert os.listdir(lab.project) == ["repro.yml"]


def test_it_is_no_change_of_the_authors(lab: Lab) -> None:
    lab.declare()
    for words in (["init"], ["add", "."], ["commit", "-m", "x"]):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=lab.project,
            check=True, capture_output=True,
        )  # fmt: skip
    lab.snapshot("--no-self-test")
    shown = json.loads(lab.repro("inspect", str(lab.archive), "--json").stdout)
    assert shown["git"]["changed"] == []
