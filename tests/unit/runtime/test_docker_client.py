"""Which daemon the docker program asks, with a script in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.errors import RuntimeUnavailable
from repro.runtime import docker_client
from repro.runtime.docker_client import find_client

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
