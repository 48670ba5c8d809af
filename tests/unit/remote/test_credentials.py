from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from repro.errors import RemoteError
from repro.remote.credentials import Credential, find_credential


def encoded(user: str, secret: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{secret}".encode()).decode()}


def write(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def test_the_most_special_key_of_the_first_file(tmp_path: Path) -> None:
    write(
        tmp_path / "run/containers/auth.json",
        {"auths": {"h:1": encoded("u", "host"), "h:1/lab": encoded("u", "lab")}},
    )
    write(tmp_path / "home/.docker/config.json", {"auths": {"h:1": encoded("u", "docker")}})
    environ = {"XDG_RUNTIME_DIR": str(tmp_path / "run"), "HOME": str(tmp_path / "home")}
    assert find_credential("h:1", "lab/paper", environ) == Credential(user="u", secret="lab")
    assert find_credential("h:1", "other", environ) == Credential(user="u", secret="host")
    assert find_credential("h:2", "other", environ) is None


def test_one_named_file_is_the_only_one(tmp_path: Path) -> None:
    write(tmp_path / "one.json", {"auths": {}})
    write(tmp_path / ".docker/config.json", {"auths": {"h": encoded("u", "s")}})
    environ = {"HOME": str(tmp_path), "REGISTRY_AUTH_FILE": str(tmp_path / "one.json")}
    assert find_credential("h", "a", environ) is None
    del environ["REGISTRY_AUTH_FILE"]
    assert find_credential("h", "a", environ) == Credential(user="u", secret="s")


def test_docker_hub_and_identity_tokens(tmp_path: Path) -> None:
    write(
        tmp_path / "config.json",
        {
            "auths": {
                "https://index.docker.io/v1/": encoded("hub", "pass:with:colons"),
                "azure.example": {"identitytoken": "tok"},
            }
        },
    )
    environ = {"DOCKER_CONFIG": str(tmp_path)}
    hub = find_credential("docker.io", "lab/paper", environ)
    assert hub == Credential(user="hub", secret="pass:with:colons")
    token = find_credential("azure.example", "x", environ)
    assert token is not None and token.is_token
    assert "tok" not in repr(token) and "colons" not in repr(hub)


def helper(folder: Path, script: str) -> None:
    path = folder / "docker-credential-mine"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_helper_is_asked(tmp_path: Path) -> None:
    helper(tmp_path, 'read host; echo "{\\"Username\\":\\"u\\",\\"Secret\\":\\"for $host\\"}"')
    write(tmp_path / "config.json", {"credHelpers": {"h": "mine"}, "credsStore": "mine"})
    environ = {"DOCKER_CONFIG": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert find_credential("h", "a", environ) == Credential(user="u", secret="for h")
    assert find_credential("other", "a", environ) == Credential(user="u", secret="for other")


def test_a_helper_that_knows_nothing_or_is_missing(tmp_path: Path) -> None:
    helper(tmp_path, "echo credentials not found; exit 1")
    write(tmp_path / "config.json", {"credsStore": "mine"})
    environ = {"DOCKER_CONFIG": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert find_credential("h", "a", environ) is None
    (tmp_path / "docker-credential-mine").unlink()
    with pytest.raises(RemoteError, match="docker-credential-mine"):
        find_credential("h", "a", environ)
    write(tmp_path / "config.json", {"credsStore": "../../bin/evil"})
    with pytest.raises(RemoteError, match="odd name"):
        find_credential("h", "a", environ)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"auths": 3}', '{"auths": {"h": 3}}', '{"auths": {"h": {"auth": "%%"}}}',
     '{"auths": {"h": {"auth": "bm9jb2xvbg=="}}}', '{"auths": {"h": {}}}'],
)  # fmt: skip
def test_rubbish_is_no_credential(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert find_credential("h", "a", {"DOCKER_CONFIG": str(tmp_path)}) is None
