"""HTTP with one registry: tokens, retries, redirects, and every failure as a RemoteError."""

from __future__ import annotations

import email.utils
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from repro import __version__
from repro.errors import AccessError, RemoteError
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable
from repro.remote.challenge import (
    Challenge,
    Token,
    basic,
    parse_challenge,
    read_token,
    token_request,
)
from repro.remote.credentials import Credential
from repro.remote.services import NO_REGISTRY, mend_of_a_missing_repository, mend_of_a_refusal

Body = bytes | BinaryIO | None
Ask = Callable[[], Credential | None]

_TIMEOUT = (15.0, 60.0)
_TRIES = 5
_LONGEST_PAUSE = 60.0
_AGAIN = (429, 500, 502, 503, 504)
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
SLOWEST = 1024
"""Bytes a second below which a server is taken for one that does not answer."""
_PATIENCE = 60.0
_ERROR_BYTES = 64 << 10
_TOKEN_BYTES = 256 << 10
MAX_ANSWER = 8 << 20
"""The largest answer that is kept in memory (registries take manifests of 4 MB), in bytes."""


@frozen
class Answer:
    """A finished exchange; header names as sent, look them up through ``header``."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str | None:
        """A header's value, whatever the case of its name."""
        for key, value in self.headers.items():
            if key.lower() == name.lower():
                return value
        return None


class Session:
    """Requests to one server. Safe for several threads.

    ``credential`` is asked for once, and only when the server wants one. ``insecure``
    means plain HTTP. A password goes to the server and to its https realm, never to where
    a redirect leads.
    """

    def __init__(
        self,
        server: str,
        credential: Ask,
        *,
        insecure: bool = False,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.server = server
        self._base = f"{'http' if insecure else 'https'}://{server}"
        self._insecure = insecure
        self._ask = credential
        self._sleep = sleep
        self._clock = clock
        self._credential: Credential | None = None
        self._asked = False
        self._challenge: Challenge | None = None
        self._tokens: dict[tuple[str, ...], Token] = {}
        self._lock = threading.Lock()
        self._local = threading.local()

    def request(
        self,
        method: str,
        address: str,
        *,
        scopes: tuple[str, ...] = (),
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Body] | None = None,
        expect: Iterable[int] = (200,),
        retry: bool = True,
    ) -> Answer:
        """Send and return the whole answer when its status is one of ``expect``.

        ``address`` is a path or what a ``Location`` header said. ``body`` makes the body
        anew for each try. Raises RemoteError; its ``temporary`` tells whether trying again
        may help. An unwanted status stands in its slug as ``http-404``.
        """
        answer = self.open(
            method, address, scopes=scopes, headers=headers, body=body, expect=expect, retry=retry
        )
        try:
            data = read_limited(answer, MAX_ANSWER, self._clock)
        except requests.RequestException as error:
            raise self._unreachable(error) from None
        if len(data) > MAX_ANSWER:
            raise RemoteError(f"{self.server} sends more than {MAX_ANSWER} bytes", hint=NO_REGISTRY)
        return Answer(status=answer.status_code, headers=dict(answer.headers), body=data)

    def open(
        self,
        method: str,
        address: str,
        *,
        scopes: tuple[str, ...] = (),
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Body] | None = None,
        expect: Iterable[int] = (200,),
        retry: bool = True,
    ) -> requests.Response:
        """As ``request``, but the body is still to be read (and the answer to be closed)."""
        url = self.absolute(address)
        wanted = frozenset(expect)
        for number in range(1, _TRIES + 1):
            last = number == _TRIES or not retry
            try:
                answer = self._authorized(method, url, scopes, headers or {}, body)
            except requests.RequestException as error:
                if last or not _temporary(error):
                    raise self._unreachable(error) from None
                self.pause(number)
                continue
            if answer.status_code in wanted:
                return answer
            if answer.status_code not in _AGAIN or last:
                raise self._refused(method, answer)
            pause = _retry_after(answer, 2.0**number)
            answer.close()
            self._sleep(min(pause, _LONGEST_PAUSE))
        raise AssertionError("unreachable")

    def pause(self, number: int, error: RemoteError | None = None) -> None:
        """Wait before the try after the ``number``-th, which failed with ``error``."""
        wait = error.wait if error is not None and error.wait is not None else 2.0**number
        self._sleep(min(wait, _LONGEST_PAUSE))

    def rest(self, seconds: float) -> None:
        """Let so much time pass before the next request."""
        self._sleep(min(seconds, _LONGEST_PAUSE))

    def absolute(self, address: str) -> str:
        """A path or a Location as a whole URL. Raises RemoteError when it is no web address."""
        url = urljoin(self._base + "/", address)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise RemoteError(
                f"{self.server} sent a strange address: {printable(url, 100)}", hint=NO_REGISTRY
            )
        if parts.scheme == "http" and not self._insecure:
            raise RemoteError(
                f"{self.server} leads to plain HTTP ({printable(parts.netloc, 80)})",
                hint="--insecure allows it",
            )
        return url

    def _authorized(
        self, method: str, url: str, scopes: tuple[str, ...], headers: Mapping[str, str],
        body: Callable[[], Body] | None,
    ) -> requests.Response:  # fmt: skip
        own = self._is_own(url)
        sent = dict(headers)
        if own:
            known = self._authorization(scopes)
            if known is not None:
                sent["Authorization"] = known
        answer = self._send(method, url, sent, body)
        if answer.status_code == 401 and own:
            challenge = parse_challenge(answer.headers.get("WWW-Authenticate", ""))
            if challenge is None:
                return answer
            answer.close()
            with self._lock:
                self._challenge = challenge
                self._tokens.pop(scopes, None)
            again = self._authorization(scopes)
            if again is None:
                return answer
            answer = self._send(method, url, {**headers, "Authorization": again}, body)
        return answer

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: Callable[[], Body] | None
    ) -> requests.Response:  # fmt: skip
        for _ in range(_MOST_REDIRECTS):
            answer = self._http().request(
                method, url, headers=dict(headers), data=body() if body is not None else None,
                stream=True, timeout=_TIMEOUT, allow_redirects=False,
            )  # fmt: skip
            place = answer.headers.get("Location")
            # An upload's answer names its next address in the same header.
            if answer.status_code not in _REDIRECTS or not place or method not in ("GET", "HEAD"):
                return answer
            answer.close()
            target = self.absolute(urljoin(url, place))
            if urlsplit(target).netloc != urlsplit(url).netloc:
                headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
            url = target
        raise RemoteError(f"{self.server} redirects in a circle", hint=NO_REGISTRY)

    def _http(self) -> requests.Session:
        """One connection pool a thread: requests' own is not made for several."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.headers["User-Agent"] = f"repro/{__version__}"
            session.headers["Accept-Encoding"] = "identity"
            # netrc would send a password that nobody named for this host.
            session.trust_env = True
            session.auth = _NoNetrc()
            self._local.session = session
        return session

    def _is_own(self, url: str) -> bool:
        return urlsplit(url).netloc == urlsplit(self._base).netloc

    def _authorization(self, scopes: tuple[str, ...]) -> str | None:
        with self._lock:
            challenge = self._challenge
            token = self._tokens.get(scopes)
        if challenge is None:
            return None
        if challenge.scheme == "basic":
            credential = self._known()
            return basic(credential) if credential is not None and not credential.is_token else None
        if token is None or token.expires <= self._clock():
            token = self._fetch_token(challenge, scopes)
            with self._lock:
                self._tokens[scopes] = token
        return f"Bearer {token.text}"

    def _known(self) -> Credential | None:
        with self._lock:
            if not self._asked:
                self._credential, self._asked = self._ask(), True
            return self._credential

    def _fetch_token(self, challenge: Challenge, scopes: tuple[str, ...]) -> Token:
        realm = challenge.parameters.get("realm", "")
        parts = urlsplit(realm)
        if parts.scheme != "https" and not (self._insecure and parts.scheme == "http"):
            raise RemoteError(
                f"{self.server} asks for a password at {printable(realm, 80)!r}: not over https",
                hint=NO_REGISTRY,
            )
        method, fields, authorization = token_request(challenge, scopes, self._known())
        headers = {"Authorization": authorization} if authorization else {}
        try:
            answer = self._http().request(
                method, realm, headers=headers, timeout=_TIMEOUT, allow_redirects=False,
                stream=True,
                **({"params": fields} if method == "GET" else {"data": fields}),  # type: ignore[arg-type]
            )  # fmt: skip
        except requests.RequestException as error:
            raise self._unreachable(error, parts.netloc) from None
        if answer.status_code != 200:
            raise self._refused(method, answer, parts.netloc)
        token = read_token(_json(answer, _TOKEN_BYTES), self._clock())
        if token is None:
            raise RemoteError(f"{printable(parts.netloc, 80)} gave no token", hint=NO_REGISTRY)
        return token

    def _unreachable(self, error: Exception, host: str | None = None) -> RemoteError:
        name = printable(host or self.server, 80)
        found = RemoteError(
            f"{name} cannot be reached: {_reason(error)}",
            hint="check the name and the network; --insecure is for a registry without TLS"
            if isinstance(error, requests.exceptions.SSLError)
            else "check the name and the network, then try again: what was sent is not lost",
            slug="unreachable",
        )
        found.temporary = True
        return found

    def _refused(
        self, method: str, answer: requests.Response, host: str | None = None
    ) -> RemoteError:
        name, status = printable(host or self.server, 80), answer.status_code
        said = _said(answer)
        answer.close()
        text = f"{name} answers {method} with {status}{f': {said}' if said else ''}"
        family = AccessError if status in (401, 403) else RemoteError
        found = family(text, hint=self._mend(status, said), slug=f"http-{status}")
        found.temporary = status in _AGAIN
        if found.temporary and "Retry-After" in answer.headers:
            found.wait = _retry_after(answer, 2.0)
        return found

    def _mend(self, status: int, said: str) -> str | None:
        hint = _MENDS.get(status) or (_DOWN if status >= 500 else None)
        if status == 404 and "NAME_UNKNOWN" in said:
            hint = mend_of_a_missing_repository(self.server)
        if status in (401, 403):
            hint = mend_of_a_refusal(self.server, status, said) or hint
        if "immutable" in said:
            hint = "the tag is taken for good there: push under another tag"
        return hint.replace("HOST", printable(self.server, 80)) if hint else None


_DOWN = "the registry has trouble of its own: try again later; what was sent is not lost"
_FINAL = ("Name or service not known", "Connection refused", "No address associated")
_MENDS = {
    401: "log in first: `docker login HOST` or `podman login HOST`",
    403: "this account may not do that: check the repository's name and your rights",
    404: "check the repository's name and the tag",
    413: "the registry does not take blobs this large",
    429: "the registry asks to slow down: try again later",
}


class _NoNetrc(requests.auth.AuthBase):
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _temporary(error: requests.RequestException) -> bool:
    """Whether waiting may help: not for a wrong name, a closed door or a wrong certificate."""
    if any(words in str(error) for words in _FINAL):
        return False
    return not isinstance(
        error,
        (
            requests.exceptions.SSLError,
            requests.exceptions.InvalidURL,
            requests.exceptions.InvalidSchema,
        ),
    )


def _retry_after(answer: requests.Response, otherwise: float) -> float:
    """Retry-After as seconds or as a date (RFC 9110 section 10.2.3)."""
    text = answer.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    if text:
        try:
            when = email.utils.parsedate_to_datetime(text).timestamp()
        except (ValueError, TypeError):
            return otherwise
        return max(0.0, when - time.time())
    return otherwise


def _json(answer: requests.Response, limit: int) -> Any:
    data = read_limited(answer, limit)
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return None


def pieces_of(
    answer: requests.Response, size: int, clock: Callable[[], float] = time.monotonic
) -> Iterator[bytes]:
    """The body as it comes, in pieces of at most ``size`` bytes.

    Raises RequestException, also when less than SLOWEST bytes a second come for a while: a
    server that sends a byte now and then never runs into a time limit for a single read.
    """
    began, count = clock(), 0
    for piece in _raw_pieces(answer, size):
        yield piece
        count += len(piece)
        passed = clock() - began
        if passed > _PATIENCE:
            if count < SLOWEST * passed:
                raise requests.exceptions.ReadTimeout("too slow")
            began, count = clock(), 0


def _raw_pieces(answer: requests.Response, size: int) -> Iterator[bytes]:
    read_some = getattr(answer.raw, "read1", None)
    if read_some is None:  # urllib3 before 2: waits until a piece is full
        yield from answer.iter_content(min(size, 4096))
        return
    try:
        yield from iter(lambda: read_some(size, decode_content=True), b"")
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ConnectionError(error) from error


def read_limited(
    answer: requests.Response, limit: int, clock: Callable[[], float] = time.monotonic
) -> bytes:
    """The body up to ``limit`` bytes; what lies beyond is cut. Raises RequestException."""
    found = bytearray()
    for piece in pieces_of(answer, 1 << 16, clock):
        found += piece
        if len(found) > limit:
            break
    answer.close()
    return bytes(found[: limit + 1])


def _said(answer: requests.Response) -> str:
    """The registry's own words (distribution-spec, "Error codes"), made harmless."""
    try:
        document = _json(answer, _ERROR_BYTES)
    except requests.RequestException:
        return ""
    errors = document.get("errors") if isinstance(document, dict) else None
    if not isinstance(errors, list) or not errors or not isinstance(errors[0], dict):
        return ""
    code, message = errors[0].get("code"), errors[0].get("message")
    return printable(" ".join(str(part) for part in (code, message) if part), 150)


def _reason(error: Exception) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not accepted"
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ReadTimeout):
        return "no answer in time"
    text = str(error)
    for words in ("Name or service not known", "Temporary failure in name resolution",
                  "Connection refused", "Network is unreachable", "Connection reset",
                  "Connection aborted"):  # fmt: skip
        if words in text:
            return words.lower()
    return type(error).__name__
