"""What repro itself wrote into a project is no input of the next snapshot; what is read stays one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from repro.model.written import FOLDER_MARK
from repro.workflows.extract import mark_made
from tests.workflows.lab import Lab

REPORTS = {
    "--report": "page", "--junit": "cases", "--markdown": "form", "--badge": "picture",
}  # fmt: skip
"""Names that say nothing."""


@pytest.fixture
def written(lab: Lab) -> Lab:
    """A project with its archive, reports on it, and folders that other commands made."""
    lab.archive = lab.project / "archive.tar"
    lab.write("in.txt", "1\n")
    lab.write("repro.yml", "version: 1\nrun: sh -c 'cat in.txt > out.txt'\n")
    lab.snapshot()
    words = [word for option, name in REPORTS.items() for word in (option, name)]
    document = lab.repro("verify", "--json", str(lab.archive), *words).stdout
    lab.write("verdict", document)
    lab.repro("extract", str(lab.archive), "project")
    lab.repro("extract", "--results", str(lab.archive), "results")
    lab.repro("extract", "--locks", str(lab.archive), "locks")
    lab.repro("run", str(lab.archive), "--out", "rerun")
    lab.repro("export", str(lab.archive), "--rootfs", "root", "--oci-dir", "layout",
              "--docker", "image", "--dockerfile", "recipe",
              "--apptainer", "definition")  # fmt: skip
    lab.repro("ci", "init", "--image", "oci://r.example/a", "--github", "--gitlab",
              "--install", "repro")  # fmt: skip
    return lab


def test_what_repro_wrote_is_left_out_and_named(written: Lab) -> None:
    before = written.packed("code", "data")
    written.snapshot()
    assert written.packed("code", "data") == before
    found = written.inspect()
    root = str(written.project)
    reasons = {item["path"].removeprefix(f"{root}/"): item["reason"] for item in found["left_out"]}
    files = {*REPORTS.values(), "verdict", "image", "recipe", "definition", "repro.mk",
             ".github/workflows/repro.yml", ".gitlab-ci.yml"}  # fmt: skip
    folders = {"project", "results", "locks", "rerun", "root", "layout"}
    for names, said in ((files, "repro wrote it"), (folders, "repro made this folder")):
        assert {name for name in names if not reasons.get(name, "").startswith(said)} == set()
    assert "archive.tar" not in reasons  # it was replaced by this very snapshot
    told = written.repro("inspect", "--left-out", str(written.archive)).stdout
    assert "repro wrote it; inputs.include in repro.yml packs it" in told
    assert f"{root}/rerun" in told


def test_an_archive_of_any_name_is_left_out(written: Lab) -> None:
    written.archive = written.folder / "b.repro"
    written.snapshot()
    paths = {item["path"] for item in written.inspect()["left_out"]}
    assert f"{written.project}/archive.tar" in paths


def test_what_is_read_or_asked_for_is_packed(written: Lab) -> None:
    written.write(
        "repro.yml",
        "version: 1\nrun: sh -c 'cat results/out.txt page > out.txt'\n"
        "outputs: [out.txt]\ninputs: {include: [form, rerun/out.txt]}\n",
    )
    written.snapshot()
    packed = {path.rpartition("/project/")[2] for path in written.packed("code")}
    assert {"results/out.txt", "page", "form", "rerun/out.txt"} <= packed
    assert not {"cases", "picture", "verdict"} & packed
    written.verify()


def test_a_name_alone_says_nothing(lab: Lab) -> None:
    names = ("report.html", "junit.xml", "badge.svg", "old.repro", "kept/.repro")
    for name in names:
        lab.write(name, "<!doctype html>\nby hand\n")
    lab.write("a.sh", "echo 1 > out.txt\n")
    lab.snapshot("--", "sh", "a.sh")
    packed = {path.rpartition("/project/")[2] for path in lab.packed("code")}
    assert set(names) <= packed


def test_an_extracted_project_is_an_ordinary_one(lab: Lab) -> None:
    lab.write("a.sh", "echo 1 > out.txt\n")
    lab.write("README.md", "how\n")
    lab.snapshot("--", "sh", "a.sh")
    lab.project = lab.folder / "copy"
    lab.folder.joinpath("copy").mkdir()
    lab.repro("extract", str(lab.archive), ".")
    lab.archive = lab.folder / "again.repro"
    lab.snapshot("--", "sh", "a.sh")
    packed = {path.rpartition("/copy/")[2] for path in lab.packed("code")}
    assert {"a.sh", "README.md"} <= packed


def test_a_folder_that_repro_made_holds_nothing_more(lab: Lab) -> None:
    lab.write("a.sh", "echo 1 > out.txt\n")
    lab.snapshot("--", "sh", "a.sh")
    lab.repro("extract", "--results", str(lab.archive), "results")
    assert os.listdir(lab.project / "results") == ["out.txt"]
    assert os.getxattr(lab.project / "results", FOLDER_MARK) == b"extract"
    os.removexattr(lab.project / "results", FOLDER_MARK)
    lab.archive.unlink()
    lab.snapshot("--", "sh", "a.sh")
    packed = {path.rpartition("/project/")[2] for path in lab.packed("code")}
    assert "results/out.txt" in packed


def test_without_extended_attributes_it_is_an_ordinary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", refused)
    mark_made(tmp_path, "extract")
    assert FOLDER_MARK not in os.listxattr(tmp_path)
