"""What Docker Hub, GHCR, GitLab and ECR are documented to say, played back; see exchanges/*.yml.

A script lists the requests that must come, in order, with the headers that must and must not be
there, and what the service answers. Nothing leaves the process.
"""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import requests
import urllib3
import yaml

from repro.errors import ReproError
from repro.model.oci import Descriptor
from repro.primitives.digest import Digest
from repro.remote.reference import Reference
from repro.remote.session import Session
from repro.remote.transfer import pull_blob, push_blob
from repro.workflows.registries import open_registry

FOLDER = Path(__file__).parent / "exchanges"
SCRIPTS = [
    pytest.param(script, id=f"{path.stem}: {script['name']}")
    for path in sorted(FOLDER.glob("*.yml"))
    for script in yaml.safe_load(path.read_text(encoding="utf-8"))
]


class Player(requests.adapters.HTTPAdapter):
    """Answers by the script; anything that it does not foresee is a failure."""

    def __init__(self, script: dict[str, Any], data: bytes) -> None:
        super().__init__()
        self._data = data
        self.left = [
            step for step in script["exchanges"] for _ in range(step.get("times", 1))
        ]  # fmt: skip

    def _filled(self, text: str) -> str:
        digest = Digest.of(self._data)
        return text.replace("{digest}", str(digest)).replace("{hex}", digest.hex)

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        assert self.left, f"not foreseen: {request.method} {request.url}"
        step = self.left.pop(0)
        method, _, url = self._filled(step["request"]).partition(" ")
        assert (request.method, unquote(request.url or "")) == (method, unquote(url))
        sent = {name.lower(): str(value) for name, value in request.headers.items()}
        assert sent["user-agent"].startswith("repro/")
        for name, value in step.get("sent", {}).items():
            assert sent.get(name) == value, name
        if "as" in step:  # user:password, spelled so that no file looks as if it held a secret
            login = base64.b64encode(step["as"].encode()).decode()
            assert sent.get("authorization") == f"Basic {login}"
        for name in step.get("without", []):
            assert name not in sent
        answer = self._filled(step.get("answer", ""))
        body = answer.replace("{body}", self._data.decode("latin-1")).encode("latin-1")
        headers = {name: self._filled(value) for name, value in step.get("headers", {}).items()}
        raw = urllib3.HTTPResponse(
            body=io.BytesIO(body), headers=headers, status=step.get("status", 200),
            preload_content=False,
        )  # fmt: skip
        return self.build_response(request, raw)


def environment(script: dict[str, Any], home: Path) -> dict[str, str]:
    """A user's home, logged in as the script says."""
    auths = {
        host: {"auth": base64.b64encode(pair.encode()).decode()}
        for host, pair in script.get("login", {}).items()
    }
    (home / ".docker").mkdir()
    document = {"auths": auths, **script.get("config", {})}
    (home / ".docker/config.json").write_text(json.dumps(document))
    (home / "bin").mkdir()
    for name, answer in script.get("helpers", {}).items():
        program = home / f"bin/docker-credential-{name}"
        program.write_text(f"#!/bin/sh\ncat >{home}/asked\ncat <<'END'\n{answer}\nEND\n")
        program.chmod(0o755)
    return {"HOME": str(home), "PATH": f"{home}/bin:/usr/bin:/bin"}


def act(script: dict[str, Any], data: bytes, home: Path, waits: list[float]) -> object:
    """Do what the script is about."""
    reference = Reference.parse(script["reference"])
    registry = open_registry(reference, environment(script, home), insecure=False)
    registry.session._sleep = waits.append
    blob = Descriptor(media_type="x", digest=Digest.of(data), size=len(data))
    if script["do"] == "manifest":
        return registry.manifest(reference.wanted)[0].decode()
    if script["do"] == "tag":
        return registry.put_manifest(reference.wanted, data)
    if script["do"] == "referrers":
        return registry.referrers(blob.digest)
    if script["do"] == "pull":
        return pull_blob(registry, blob, home).read_bytes().decode()
    assert script["do"] == "push"
    return push_blob(
        registry, blob, lambda: io.BytesIO(data), mounts=script.get("mounts", [])
    )  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS)
def test_exchange(script: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = script["body"].encode() if "body" in script else bytes(script.get("size", 0))
    player = Player(script, data)
    waits: list[float] = []
    real = Session._http

    def played(self: Session) -> requests.Session:
        session = real(self)
        session.mount("https://", player)
        session.mount("http://", player)
        return session

    monkeypatch.setattr(Session, "_http", played)
    error = script.get("error")
    if error is None:
        found = act(script, data, tmp_path, waits)
        assert found == script.get("result", script.get("body"))
    else:
        with pytest.raises(ReproError) as caught:
            act(script, data, tmp_path, waits)
        assert (caught.value.slug, caught.value.exit_code) == (error["slug"], error["exit"])
        assert all(words in caught.value.message for words in error["says"]), caught.value.message
        assert error["hint"] in (caught.value.hint or ""), caught.value.hint
    assert not player.left, "requests that did not come"
    assert waits == script.get("waits", [])


def test_the_helper_is_asked_for_its_host(tmp_path: Path) -> None:
    (script,) = [
        each for each in yaml.safe_load((FOLDER / "ecr.yml").read_text()) if "helpers" in each
    ]
    environ = environment(script, tmp_path)
    from repro.remote.credentials import find_credential

    host = Reference.parse(script["reference"]).host
    found = find_credential(host, "paper", environ)
    assert found is not None and (found.user, found.secret) == ("AWS", "fresh")
    assert (tmp_path / "asked").read_text() == host
