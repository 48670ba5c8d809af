"""Credentials as docker and podman keep them (docker-credential-helpers; containers-auth.json(5)).

Nothing is written: who can ``docker login`` or ``podman login`` can use repro.
"""

from __future__ import annotations

import base64
import binascii
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from repro.errors import RemoteError
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable

_HUB_KEY = "https://index.docker.io/v1/"
_TOKEN_USER = "<token>"
_HELPER_SECONDS = 30


@frozen
class Credential:
    """A user with a password, or (``user`` empty) a refresh token."""

    user: str
    secret: str

    @property
    def is_token(self) -> bool:
        """Whether the secret is a refresh token (an "identity token")."""
        return not self.user

    def __repr__(self) -> str:
        return f"Credential(user={self.user!r}, secret=...)"


def find_credential(host: str, repository: str, environ: Mapping[str, str]) -> Credential | None:
    """The credential for a repository: the first file that has one.

    Keys are tried from the most special (``host/name/space``) to the host, as podman does.
    Raises RemoteError when a credential helper fails.
    """
    for path in _files(environ):
        document = _read(path)
        if document is None:
            continue
        found = _from_file(document, host, repository, environ)
        if found is not None:
            return found
    return None


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    if environ.get("REGISTRY_AUTH_FILE"):
        yield Path(environ["REGISTRY_AUTH_FILE"])
        return
    if environ.get("XDG_RUNTIME_DIR"):
        yield Path(environ["XDG_RUNTIME_DIR"]) / "containers/auth.json"
    home = environ.get("HOME")
    config = environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else None)
    if config:
        yield Path(config) / "containers/auth.json"
    if environ.get("DOCKER_CONFIG"):
        yield Path(environ["DOCKER_CONFIG"]) / "config.json"
    elif home:
        yield Path(home) / ".docker/config.json"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _keys(host: str, repository: str) -> Iterator[str]:
    parts = [host, *repository.split("/")]
    for count in range(len(parts), 0, -1):
        yield "/".join(parts[:count])
    yield f"https://{host}"
    yield f"https://{host}/v1/"
    yield f"https://{host}/v2/"
    if host == "docker.io":
        yield _HUB_KEY
        yield "index.docker.io"


def _from_file(
    document: Mapping[str, Any], host: str, repository: str, environ: Mapping[str, str]
) -> Credential | None:
    helpers = document.get("credHelpers")
    auths = document.get("auths")
    for key in _keys(host, repository):
        if isinstance(helpers, dict) and isinstance(helpers.get(key), str):
            return _ask(helpers[key], key, environ)
        if isinstance(auths, dict) and isinstance(auths.get(key), dict):
            found = _decoded(auths[key])
            if found is not None:
                return found
    store = document.get("credsStore")
    if isinstance(store, str):
        return _ask(store, _HUB_KEY if host == "docker.io" else host, environ)
    return None


def _decoded(entry: Mapping[str, Any]) -> Credential | None:
    token = entry.get("identitytoken")
    if isinstance(token, str) and token:
        return Credential(user="", secret=token)
    auth = entry.get("auth")
    if not isinstance(auth, str) or not auth:
        return None
    try:
        user, colon, secret = base64.b64decode(auth).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return Credential(user=user, secret=secret.rstrip("\0")) if colon and user else None


def _ask(helper: str, key: str, environ: Mapping[str, str]) -> Credential | None:
    """``docker-credential-HELPER get``: the host on stdin, JSON on stdout."""
    if not helper.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise RemoteError(f"the credential helper {printable(helper, 60)!r} has an odd name")
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, "get"], input=key.encode(), capture_output=True, env=dict(environ),
            timeout=_HELPER_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise RemoteError(
            f"{program} cannot be asked for the password of {key}: {type(error).__name__}",
            hint="install it, or log in again with `docker login` or `podman login`",
        ) from None
    if done.returncode != 0:
        return None  # "credentials not found": the registry may serve strangers
    try:
        answer = json.loads(done.stdout)
        user, secret = answer["Username"], answer["Secret"]
    except (ValueError, KeyError, TypeError):
        raise RemoteError(f"{program} gave no credentials") from None
    return Credential(user="" if user == _TOKEN_USER else str(user), secret=str(secret))
