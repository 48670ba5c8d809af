"""``WWW-Authenticate`` and the tokens it asks for (RFC 9110 section 11; distribution, "Token
authentication specification")."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from repro.primitives.frozen import frozen
from repro.remote.credentials import Credential

_PARAMETER = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_DEFAULT_SECONDS = 60
_MARGIN = 10


@frozen
class Challenge:
    """What a server asks for: the scheme in lower case, its parameters."""

    scheme: str
    parameters: Mapping[str, str]


@frozen
class Token:
    """A bearer token; ``expires`` in seconds of the session's clock."""

    text: str
    expires: float


def parse_challenge(header: str) -> Challenge | None:
    """The first Bearer or Basic challenge of the header; None without one."""
    for match in re.finditer(r"(?i)\b(bearer|basic)\b\s*", header):
        scheme = match.group(1).lower()
        rest = re.split(r"(?i),\s*(?:bearer|basic)\s+", header[match.end() :])[0]
        found = {
            name.lower(): re.sub(r"\\(.)", r"\1", quoted) if quoted or not plain else plain
            for name, quoted, plain in _PARAMETER.findall(rest)
        }
        return Challenge(scheme=scheme, parameters=found)
    return None


def basic(credential: Credential) -> str:
    """The ``Authorization`` value of a user with a password."""
    pair = f"{credential.user}:{credential.secret}".encode()
    return "Basic " + base64.b64encode(pair).decode("ascii")


def token_request(
    challenge: Challenge, scopes: tuple[str, ...], credential: Credential | None
) -> tuple[str, list[tuple[str, str]], str | None]:
    """How to ask the realm: its method, the fields, and the Authorization value if any.

    A refresh token goes by POST (the OAuth2 form), a password by GET with Basic.
    """
    wanted = scopes or tuple(filter(None, [challenge.parameters.get("scope", "")]))
    fields = [("service", challenge.parameters.get("service", ""))]
    if credential is not None and credential.is_token:
        fields += [
            ("grant_type", "refresh_token"), ("client_id", "repro"),
            ("refresh_token", credential.secret), ("scope", " ".join(wanted)),
        ]  # fmt: skip
        return "POST", fields, None
    fields += [("scope", scope) for scope in wanted]
    return "GET", fields, basic(credential) if credential is not None else None


def read_token(answer: Any, now: float) -> Token | None:
    """The token of a realm's answer; 60 seconds when it does not say how long it holds."""
    if not isinstance(answer, dict):
        return None
    text = answer.get("token") or answer.get("access_token")
    if not isinstance(text, str) or not text or not text.isprintable():
        return None
    seconds = answer.get("expires_in")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds <= 0:
        seconds = _DEFAULT_SECONDS
    return Token(text=text, expires=now + max(seconds - _MARGIN, 1))
