"""What `repro ci init` writes, run command by command against the real registry."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from real.test_docker_registry import serving
from real.test_readers import call, program

pytestmark = pytest.mark.real
HONEST = "seq 5 > out.txt\n"
RANDOM = "head -c 8 /dev/urandom | od -x > out.txt\n"


class Project:
    """A repository with repro.yml; ``repro`` and ``pip`` come first in PATH."""

    def __init__(self, folder: Path, host: str) -> None:
        self.folder, self.host = folder / "project", host
        self.folder.mkdir()
        tools = folder / "bin"
        tools.mkdir()
        (tools / "repro").write_text(f'#!/bin/sh\nexec {sys.executable} -m repro "$@"\n')
        for name in ("pip", "sudo"):
            (tools / name).write_text(f'#!/bin/sh\necho "$@" >> {folder}/{name}.log\n')
        for path in tools.iterdir():
            path.chmod(0o755)
        self.environ = {
            "PATH": f"{tools}:/usr/sbin:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8",
            "REPRO_CACHE": str(folder / "cache"), "PYTHONPATH": os.getcwd(), "FLAGS": "--insecure",
            "CI_COMMIT_SHORT_SHA": "0123abcd", "CI_REGISTRY": host, "CI_REGISTRY_USER": "u",
            "CI_REGISTRY_PASSWORD": "p", "CI_PROJECT_DIR": str(self.folder),
        }  # fmt: skip
        (self.folder / "repro.yml").write_text("run: sh work.sh\nname: paper\n")
        self.write(HONEST)
        call("git", "init", "-q", ".", cwd=self.folder, env=self.environ)

    def write(self, script: str) -> None:
        (self.folder / "work.sh").write_text(script)

    def sh(self, command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-e", "-c", command], cwd=self.folder, env={**self.environ, **more},
            capture_output=True, text=True, timeout=200,
        )  # fmt: skip

    def tags(self) -> list[str]:
        done = self.sh(f"repro ls --insecure --json oci://{self.host}/ci/paper")
        return [each["tag"] for each in yaml.safe_load(done.stdout).get("tags", [])]

    def init(self, kind: str) -> None:
        done = self.sh(
            f"repro ci init --image oci://{self.host}/ci/paper --install ./repro-src --{kind}"
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Any:
    (tmp_path / "registry").mkdir()
    program("git")
    with serving(tmp_path / "registry") as host:
        yield Project(tmp_path, host)


def test_the_makefile_moves_the_tag_only_when_the_verdict_holds(project: Project) -> None:
    project.init("make")
    done = project.sh("make -f repro.mk")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "IDENTICAL" in done.stdout
    assert project.tags() == ["candidate-local", "latest"]
    assert (project.folder / "build/report.html").stat().st_size > 1000
    before = project.sh(f"repro ls --insecure --json oci://{project.host}/ci/paper").stdout
    project.write(RANDOM)
    done = project.sh("make -f repro.mk CANDIDATE=second")
    assert done.returncode != 0
    assert project.tags() == ["candidate-local", "latest"]  # --strict: not even pushed
    assert project.sh(f"repro ls --insecure --json oci://{project.host}/ci/paper").stdout == before


def test_a_candidate_that_fails_later_is_not_promoted(project: Project) -> None:
    project.init("make")
    assert project.sh("make -f repro.mk").returncode == 0
    project.write(RANDOM)
    built = project.sh("repro snapshot -q -o build/paper.repro")  # without --strict
    assert built.returncode == 0, built.stderr
    done = project.sh("make -f repro.mk -o build CANDIDATE=second")
    assert done.returncode != 0 and "DIFFERENT" in done.stdout
    latest, second = (
        project.sh(f"repro inspect --insecure --json oci://{project.host}/ci/paper:{tag}").stdout
        for tag in ("latest", "second")
    )
    digests = [yaml.safe_load(text)["archive"]["digest"] for text in (latest, second)]
    assert digests[0] != digests[1]


def test_the_pipeline_of_gitlab(project: Project) -> None:
    project.init("gitlab")
    pipeline = yaml.safe_load((project.folder / ".gitlab-ci.yml").read_text())
    variables = {
        key: value.replace("$CI_COMMIT_SHORT_SHA", "0123abcd").replace(
            "$CI_PROJECT_DIR", str(project.folder)
        )
        for key, value in pipeline["variables"].items()
    }
    for stage in pipeline["stages"]:
        for line in [*pipeline["default"]["before_script"], *pipeline[stage]["script"]]:
            done = project.sh(line, **variables)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert project.tags() == ["candidate-0123abcd", "latest"]
    assert "install ./repro-src" in (project.folder.parent / "pip.log").read_text()
    assert (project.folder / "build/report.html").exists()


def test_the_workflow_of_github(project: Project) -> None:
    project.init("github")
    workflow = yaml.safe_load((project.folder / ".github/workflows/repro.yml").read_text())
    job = workflow["jobs"]["rerun"]
    for step in job["steps"]:
        if "run" not in step or "docker login" in step["run"]:
            continue
        done = project.sh(step["run"], **job["env"])
        assert done.returncode == 0, f"{step['run']}\n{done.stdout}{done.stderr}"
    assert project.tags() == ["candidate-local", "latest"]


def test_nothing_is_overwritten_unasked(project: Project) -> None:
    project.init("gitlab")
    (project.folder / ".gitlab-ci.yml").write_text("mine: true\n")
    again = project.sh("repro ci init --image oci://h/n --install x --gitlab --make")
    assert again.returncode == 3 and "there already" in again.stderr
    assert (project.folder / ".gitlab-ci.yml").read_text() == "mine: true\n"
    assert not (project.folder / "repro.mk").exists()
    for install in ("a'; rm -rf ~", "$(x)", 'a"b'):
        done = subprocess.run(
            [sys.executable, "-m", "repro", "ci", "init", "--image", "oci://h/n", "--install",
             install, "--force"],
            cwd=project.folder, env=project.environ, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 3, install
