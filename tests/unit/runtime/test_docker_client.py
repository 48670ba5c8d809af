"""Which daemon the docker program asks, with a script in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.errors import RuntimeUnavailable
from repro.runtime import docker_client
from repro.runtime.docker_client import Client, find_client

SCRIPT = """#!/bin/sh
case "$1" in
  version) echo "26.1 linux" ;;
  context) {context} ;;
esac
"""


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, context: str) -> None:
    program = folder / "docker"
    program.write_text(SCRIPT.format(context=context))
    program.chmod(0o755)
    monkeypatch.setattr(docker_client, "SEARCH", f"{folder}:/usr/bin:/bin")
    monkeypatch.delenv("DOCKER_HOST", raising=False)


@pytest.mark.parametrize("context", ["echo unix:///var/run/docker.sock", "exit 1"])
def test_the_daemon_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, context: str
) -> None:
    installed(tmp_path, monkeypatch, context)
    assert find_client().version == "26.1"


def test_another_machine_by_the_context_or_by_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, monkeypatch, "echo ssh://ada@far")
    with pytest.raises(RuntimeUnavailable, match="another machine") as caught:
        find_client()
    assert "docker context use default" in str(caught.value.hint)
    installed(tmp_path, monkeypatch, "echo unix:///var/run/docker.sock")
    monkeypatch.setenv("DOCKER_HOST", "tcp://far:2376")
    with pytest.raises(RuntimeUnavailable, match="another machine"):
        find_client()


ABSENT = [
    "Error response from daemon: Could not find the file /gone in container x",
    "Error: No such container:path: x:/gone",
    "Error response from daemon: lstat /var/lib/docker/merged/file/gone: not a directory",
    "Error response from daemon: lstat /var/lib/docker/merged/aaa: file name too long",
    "Error response from daemon: evalSymlinksInScope: too many links in /var/lib/docker/loop",
]
TROUBLE = [
    "Error response from daemon: No such container: x",
    "Cannot connect to the Docker daemon at unix:///run/docker.sock. Is the docker daemon running?",
    "Error response from daemon: error creating overlay mount: no space left on device",
    "Error response from daemon: error while mounting /not a directory: permission denied",
    "",
]


def saying(folder: Path, words: str) -> Client:
    (folder / "said").write_text(words + "\n")
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\ncat {folder}/said >&2\nexit 1\n")
    program.chmod(0o755)
    return Client(path=str(program), version="26.1")


@pytest.mark.parametrize("words", ABSENT)
def test_nothing_is_there(tmp_path: Path, words: str) -> None:
    assert saying(tmp_path, words).look("x", "/gone") is None


@pytest.mark.parametrize("words", TROUBLE)
def test_a_docker_that_cannot_say_is_no_missing_program(tmp_path: Path, words: str) -> None:
    with pytest.raises(RuntimeUnavailable, match="`docker cp` failed") as caught:
        saying(tmp_path, words).look("x", "/gone")
    assert words in "".join(caught.value.details)


def test_what_is_no_tar_says_nothing(tmp_path: Path) -> None:
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\nhead -c 2000 /dev/zero | tr '\\0' x\n")
    program.chmod(0o755)
    with pytest.raises(RuntimeUnavailable, match="`docker cp` failed"):
        Client(path=str(program), version="26.1").look("x", "/file")
